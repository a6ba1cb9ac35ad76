//! Signals that a loop handles.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::SigId;

use crate::error::Result;
use crate::map::SocketMap;

pub(crate) type Call = Box<dyn FnMut(&mut SocketMap) -> Result>;

/// The registration of one signal, until the map is dropped.
pub(crate) struct Watch {
    arrived: Arc<AtomicBool>,
    call: Option<Call>,
    ids: [SigId; 2],
}

impl Watch {
    pub(crate) fn new(arrived: Arc<AtomicBool>, call: Call, ids: [SigId; 2]) -> Self {
        Watch { arrived, call: Some(call), ids }
    }

    /// Takes the call if the signal has arrived since the last time.
    pub(crate) fn take_call(&mut self) -> Option<Call> {
        self.arrived.swap(false, Ordering::SeqCst).then(|| self.call.take()).flatten()
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
