//! Conversion of a panic in a callback to an [`Error`] with its source location.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use crate::error::{Error, Panicked};

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `callback`, and returns a panic as an [`Error`].
///
/// The handler that panicked stays in place, as after any `Err`: its `handle_error` decides whether
/// its state is still usable. The default closes the channel.
#[inline(always)]
pub(crate) fn catch<R>(callback: impl FnOnce() -> R) -> Result<R, Error> {
    let outer = IN_CALLBACK.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(callback));
    IN_CALLBACK.set(outer);
    outcome.map_err(|payload| {
        let place = PLACE.with_borrow_mut(Option::take);
        Panicked { message: message_of(&*payload), place }.into()
    })
}

/// Runs `body`, then `after`, even if `body` panicked; then resumes the panic.
pub(crate) fn with_cleanup<T: ?Sized, R>(
    target: &mut T,
    body: impl FnOnce(&mut T) -> R,
    after: impl FnOnce(&mut T),
) -> R {
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| body(target)));
    after(target);
    outcome.unwrap_or_else(|payload| panic::resume_unwind(payload))
}

/// Installs a panic hook that records the location of a panic inside a callback instead of printing
/// two lines.
///
/// The previous hook still receives every other panic. If a backtrace is requested
/// (`RUST_BACKTRACE`), it also receives panics inside callbacks, since only the hook can print one.
pub(crate) fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        let backtrace = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
        panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            let in_callback = IN_CALLBACK.get();
            if in_callback {
                PLACE.set(info.location().map(ToString::to_string));
            }
            if !in_callback || backtrace {
                previous(info);
            }
        }));
    });
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "the panic payload is not text".to_owned()
    }
}
