//! Echoes a form as JSON.

use asyncore_http::{Request, Response};
use serde_json::{Map, Value};

const FORM: &str = "application/x-www-form-urlencoded";

/// Responds with the form's fields as an object; a field that occurs several times is an array.
pub(crate) fn echo(request: &Request) -> Response {
    let kind = request.header("content-type").unwrap_or(FORM.as_bytes());
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if !kind.eq_ignore_ascii_case(FORM.as_bytes()) {
        return Response::text(415, &format!("expected a form of type {FORM}"));
    }
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(&request.body) {
        let value = Value::from(value.into_owned());
        match fields.get_mut(&*name) {
            None => {
                fields.insert(name.into_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Response::new("application/json", format!("{}\n", Value::Object(fields)).into_bytes())
}
