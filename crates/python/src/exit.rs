//! Threads that the interpreter ends while they are in the engine.
//!
//! Up to Python 3.13, a daemon thread that takes the GIL again while the interpreter finalizes is
//! ended by pthread_exit(3), wherever it is: in a handler, in `recv`, after a wait. glibc then
//! unwinds its stack by force, which Rust frames answer with an abort of the process. So a thread
//! with Rust frames on its stack has a cleanup handler of libc's. libc calls it before it unwinds
//! a frame, and it does not return: the thread hangs until the process ends, which is what Python
//! does with such threads from 3.14 on.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::ptr::null_mut;

/// `struct _pthread_cleanup_buffer` of glibc, `struct __ptcb` of musl: at most four words.
type CleanupBuffer = [*mut c_void; 4];

#[allow(unsafe_code)]
// SAFETY: the functions behind pthread_cleanup_push(3) in musl, and in glibc for programs in C;
// both libraries keep them for the programs that were compiled with them.
unsafe extern "C" {
    fn _pthread_cleanup_push(
        buffer: *mut CleanupBuffer,
        routine: extern "C" fn(*mut c_void),
        argument: *mut c_void,
    );
    fn _pthread_cleanup_pop(buffer: *mut CleanupBuffer, execute: c_int);
}

struct Handler {
    /// Number of `InEngine` on this thread; the handler is registered while it is above zero.
    ///
    /// A number and not a list of buffers: with greenlets, the calls of a thread do not end in the
    /// reverse order of their beginnings.
    depth: Cell<usize>,
    /// INVARIANT: on the heap. glibc calls a handler once the frame at the address of its buffer is
    /// unwound, and takes any address outside the stack for that of such a frame.
    buffer: Box<UnsafeCell<CleanupBuffer>>,
}

thread_local! {
    static HANDLER: Handler = Handler {
        depth: Cell::new(0),
        buffer: Box::new(UnsafeCell::new([null_mut(); 4])),
    };
}

/// A call into the engine: while it lasts, the thread hangs where it would be ended.
///
/// The first variable of each function that Python calls and that can run Python code.
pub(crate) struct InEngine {
    /// It belongs to its thread.
    _not_send: PhantomData<*const ()>,
}

impl InEngine {
    #[allow(unsafe_code)]
    pub(crate) fn enter() -> Self {
        HANDLER.with(|handler| {
            if handler.depth.replace(handler.depth.get() + 1) == 0 {
                // SAFETY: the buffer is large enough, and stays where it is until it is popped: it
                // is freed when the thread ends, which has left the engine by then.
                unsafe { _pthread_cleanup_push(handler.buffer.get(), hang, null_mut()) };
            }
        });
        InEngine { _not_send: PhantomData }
    }
}

impl Drop for InEngine {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        HANDLER.with(|handler| {
            handler.depth.set(handler.depth.get() - 1);
            if handler.depth.get() == 0 {
                // SAFETY: `enter` pushed it, on this thread.
                unsafe { _pthread_cleanup_pop(handler.buffer.get(), 0) };
            }
        });
    }
}

extern "C" fn hang(_: *mut c_void) {
    loop {
        rustix::event::pause();
    }
}
