//! Flow control and layers, in the callbacks of a run.

use std::io;

use asyncore::{Channel, Layer, LayerIo};

use crate::harness::{Harness, pick};
use crate::script::{FlowAction, FlowCommand};

/// A layer that passes all bytes unchanged, so that the endpoint models need not know of it.
struct Identity;

impl Layer for Identity {
    fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        io.deliver(input);
        Ok(())
    }

    fn send(&mut self, output: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        io.transmit(output);
        Ok(())
    }
}

impl Harness {
    /// Applies `command` to the channel that it targets.
    pub fn apply_flow(&self, ch: &mut Channel<'_>, command: FlowCommand) {
        let Some((token, endpoint)) = pick(&self.channels, command.channel) else { return };
        let Some(mut ch) = ch.channel(token) else { return };
        match command.action {
            FlowAction::Nothing => {}
            FlowAction::SetSink(which) => {
                if let Some((sink, _)) = pick(&self.channels, which) {
                    ch.set_sink(sink);
                }
            }
            FlowAction::ClearSink => ch.clear_sink(),
            // A lossless run must read all input before a closing peer stops lingering.
            FlowAction::PauseReading if self.lossless => {}
            FlowAction::PauseReading => {
                ch.pause_reading();
                self.paused.borrow_mut().push(token);
            }
            FlowAction::ResumeReading => ch.resume_reading(),
            FlowAction::HoldOpen => ch.hold_open(),
            FlowAction::Release => ch.release(),
            // Both fail on a channel that cannot have layers at the moment.
            FlowAction::InsertLayer => {
                self.endpoints.borrow_mut()[endpoint].layered = true;
                drop(ch.insert_layer(Identity, &[]));
            }
            FlowAction::RemoveLayer => drop(ch.remove_layer()),
        }
    }
}
