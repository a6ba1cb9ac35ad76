//! The engine under the Python package `asyncore-rs`: the passes of asyncore's loop, and what
//! asynchat does with the bytes.

mod chat;
mod custom_poll;
mod deliver;
mod descriptor;
mod engine;
mod exit;
mod hooks;
mod in_buffer;
mod instance;
mod interest;
mod originals;
mod output;
mod pass;
mod raw_socket;
mod timers;
mod wait;
mod watch;

/// The compiled engine; `asyncore_rs._engine` chooses between it and the one in Python.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::engine::Engine;
    #[pymodule_export]
    use crate::in_buffer::InBuffer;
}
