//! A panic in a callback becomes an [`Error`] with its place, and costs one channel.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use crate::error::{Error, Panicked};

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `callback`; a panic comes back as an [`Error`].
///
/// The handler that panicked is not thrown away, as with any `Err`: whether what it left behind
/// is usable is for its `handle_error` to judge, whose default closes the channel.
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

/// Runs `body`, then `after` also when `body` panicked, and lets the panic go on.
pub(crate) fn with_cleanup<T: ?Sized, R>(
    target: &mut T,
    body: impl FnOnce(&mut T) -> R,
    after: impl FnOnce(&mut T),
) -> R {
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| body(target)));
    after(target);
    outcome.unwrap_or_else(|payload| panic::resume_unwind(payload))
}

/// Makes panics inside callbacks note their place instead of printing two lines of their own.
///
/// The hook that was there before still gets every other panic, and these too when a backtrace
/// was asked for (`RUST_BACKTRACE`), since only the hook can print one.
pub(crate) fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        let backtrace = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
        panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            let noted = IN_CALLBACK.get();
            if noted {
                PLACE.set(info.location().map(ToString::to_string));
            }
            if !noted || backtrace {
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
        "a value that is no text".to_owned()
    }
}
