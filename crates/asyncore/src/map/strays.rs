//! Events for channels that are gone.

use std::io;

use crate::map::SocketMap;
use crate::token::Key;

/// In so many passes a poller that could not be renewed is not tried again.
const RETRY_PASSES: u64 = 1000;

/// A channel that is gone, and since which pass it is known that events for it come.
#[derive(Clone, Copy)]
pub(crate) struct Stray {
    key: Key,
    pass: u64,
}

impl SocketMap {
    /// An event came for a channel that is gone. Once is natural: it was closed in this very pass.
    /// When it comes again, the channel's descriptor lives on as a duplicate, in this process or in
    /// another one, and would be reported for ever.
    #[cold]
    pub(crate) fn note_stray(&mut self, key: Key) {
        let pass = self.stats.passes;
        self.stray = match self.stray {
            Some(stray) if stray.key == key && stray.pass < pass => self.end_strays(key),
            // Whether it comes again, the pass after its own will tell.
            Some(stray) if stray.pass + 1 >= pass => Some(stray),
            _ => Some(Stray { key, pass }),
        };
    }

    fn end_strays(&mut self, key: Key) -> Option<Stray> {
        let error = self.renew_poller().err()?;
        tracing::error!(
            target: "asyncore",
            "a closed channel's duplicate is ready without end, and the poller cannot be renewed: {error}"
        );
        Some(Stray { key, pass: self.stats.passes + RETRY_PASSES })
    }

    /// Begins anew with what the map has.
    fn renew_poller(&mut self) -> io::Result<()> {
        if !self.poller.renew()? {
            return Ok(());
        }
        if let Some(wake) = &self.wake {
            wake.listen(&mut self.poller)?;
        }
        for key in self.slots.keys().collect::<Vec<_>>() {
            let slot = &mut self.slots[key];
            if !slot.always_ready {
                let registration = slot.registered.take();
                self.register(key, registration);
            }
        }
        Ok(())
    }
}
