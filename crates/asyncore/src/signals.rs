//! One signal that a loop watches for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::SigId;

use crate::error::Result;
use crate::map::SocketMap;

pub(crate) type Call = Box<dyn FnMut(&mut SocketMap) -> Result>;

/// A signal that the loop watches for, until the map is dropped.
pub(crate) struct Watch {
    came: Arc<AtomicBool>,
    call: Option<Call>,
    ids: [SigId; 2],
}

impl Watch {
    pub(crate) fn new(came: Arc<AtomicBool>, call: Call, ids: [SigId; 2]) -> Self {
        Watch { came, call: Some(call), ids }
    }

    /// The call, if the signal has come since it was last taken.
    pub(crate) fn take_call(&mut self) -> Option<Call> {
        self.came.swap(false, Ordering::SeqCst).then(|| self.call.take()).flatten()
    }

    pub(crate) fn put_back(&mut self, call: Call) {
        self.call = Some(call);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for id in self.ids {
            signal_hook::low_level::unregister(id);
        }
    }
}
