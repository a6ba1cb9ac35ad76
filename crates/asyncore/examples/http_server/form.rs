//! Echoes a form as JSON.

use serde_json::{Map, Value};

use super::request::Request;
use super::response::Response;

const FORM: &str = "application/x-www-form-urlencoded";

/// Responds with the form's fields as an object; a field that occurs several times is an array.
pub(crate) fn echo(request: &Request) -> Response {
    let kind = request.content_type.as_deref().unwrap_or(FORM);
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(FORM) {
        return Response::error(415, &format!("expected a form of type {FORM}"));
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
    Response::new("application/json", format!("{}\n", Value::Object(fields)))
}
