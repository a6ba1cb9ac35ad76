//! Running the calls of triggers and signals.

use crate::event_loop::EventLoop;
use crate::wake::MAX_QUEUED_CALLS;

impl EventLoop {
    /// Runs the calls that triggers and signals have queued so far.
    pub(super) fn run_wake(&mut self) {
        let Some(wake) = &mut self.map.wake else { return };
        wake.clear();
        #[cfg(feature = "signals")]
        self.run_signals();
        for _ in 0..MAX_QUEUED_CALLS {
            let Some(call) = self.map.wake.as_ref().and_then(|wake| wake.next_call()) else {
                return;
            };
            self.run_call("a trigger", call);
            self.deliver_due();
        }
    }

    #[cfg(feature = "signals")]
    fn run_signals(&mut self) {
        let mut index = 0;
        // Looked up by index each time, because a call may add a watch.
        while let Some(watch) = self.map.signal_watch(index) {
            if let Some(mut call) = watch.take_call() {
                self.run_call("a signal's call", &mut call);
                self.deliver_due();
                if let Some(watch) = self.map.signal_watch(index) {
                    watch.put_back(call);
                }
            }
            index += 1;
        }
    }
}
