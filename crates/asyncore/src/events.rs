//! The events and predicates that [`Dispatcher`](crate::Dispatcher) and
//! [`AsyncChat`](crate::AsyncChat) share.

/// Passes the list of methods to the macro `$then`, each with its documentation and its default, so
/// that both traits declare them once. `declare_events` turns the list into methods of a trait,
/// `forward_events` into the implementation of [`Dispatcher`](crate::Dispatcher) for an
/// [`AsyncChat`](crate::AsyncChat).
macro_rules! events {
    ($then:ident) => {
        $then! {
        ref {
            /// Returns whether the loop calls [`handle_read`](Dispatcher::handle_read) when the
            /// socket is readable (for a listener, [`handle_accept`](Dispatcher::handle_accept)).
            ///
            /// The default is true while the channel's own output is below its
            /// [high-water mark](Channel::set_high_water) and no more than 64 producers are queued,
            /// so that a peer that sends and never reads cannot fill the memory.
            ///
            /// The loop evaluates both predicates again when the channel was touched: it had an
            /// event or a timer, or another channel reached it. Predicates may consult other
            /// channels through `ch`, and are evaluated again when one of those was touched. If the
            /// answer depends on anything else, call [`touch`](Channel::touch) when that changes;
            /// [`check_predicates`](crate::MapBuilder::check_predicates) finds missing calls. A
            /// predicate that panics closes its channel. A predicate that is not overridden is not
            /// even called.
            fn readable(self, ch: &Channel<'_>) -> bool {
                ch.default_predicate(Interest::READ)
            }

            /// Returns whether the loop calls [`handle_write`](Dispatcher::handle_write) when the
            /// socket is writable.
            ///
            /// The default is true while output is queued; the loop sends queued output whatever
            /// this returns. It watches a socket that is connecting without evaluating this.
            fn writable(self, ch: &Channel<'_>) -> bool {
                ch.default_predicate(Interest::WRITE)
            }

            /// Returns the maximum number of bytes that one system call sends, 64 KiB by default.
            /// The map calls this once, when the channel is added.
            fn ac_out_buffer_size(self) -> usize {
                Slot::BUFFER_SIZE
            }
        }
        mut {
            /// Handles a socket that takes more output, when the channel's own queue is empty.
            ///
            /// The default does nothing; the loop sends the queue without it. After a callback that
            /// sends nothing, the loop does not call it again until the channel is touched; Python
            /// called it for ever.
            ///
            /// # Errors
            /// Go to `handle_error`.
            fn handle_write(self, ch: &mut Channel<'_>) -> Result {
                Ok(())
            }

            /// Handles out-of-band data, on a channel that [enables it](Channel::set_priority);
            /// call [`recv_oob`](Channel::recv_oob).
            ///
            /// The default logs a [`Warning`](crate::LogType::Warning).
            ///
            /// # Errors
            /// Go to `handle_error`.
            fn handle_expt(self, ch: &mut Channel<'_>) -> Result {
                defaults::unhandled(self, ch, "incoming priority");
                Ok(())
            }

            /// Handles the connection that [`connect`](Channel::connect) has established.
            ///
            /// The default does nothing. A failure to connect goes to `handle_error` instead.
            ///
            /// # Errors
            /// Go to `handle_error`.
            fn handle_connect(self, ch: &mut Channel<'_>) -> Result {
                Ok(())
            }

            /// Handles an accepted connection; `peer` is its address, or `None` on a Unix socket.
            ///
            /// The default closes it and logs a [`Warning`](crate::LogType::Warning).
            ///
            /// # Errors
            /// Go to the listener's `handle_error`, whose default logs them and keeps the listener open.
            fn handle_accepted(self, ch: &mut Channel<'_>, sock: Socket, peer: Option<SocketAddr>) -> Result {
                defaults::unhandled(self, ch, "accepted");
                Ok(())
            }

            /// Handles the end of the peer's half of the stream.
            ///
            /// The default calls [`close_when_done`](Channel::close_when_done): the channel sends
            /// its queue and closes, and [`handle_close`](Dispatcher::handle_close) follows. A
            /// handler that overrides this can continue to send, as a relay does that passes a
            /// half-close on. This is not called for a connection that was reset.
            ///
            /// # Errors
            /// Go to `handle_error`.
            fn handle_eof(self, ch: &mut Channel<'_>) -> Result {
                ch.close_when_done();
                Ok(())
            }

            /// Handles the end of the channel, whatever the reason. This is called exactly once, as
            /// the last callback.
            ///
            /// The default does nothing more: the socket is closed already, and the map drops the
            /// handler after this. [`close_cause`](Channel::close_cause) returns the cause of an
            /// end that was not orderly.
            fn handle_close(self, ch: &mut Channel<'_>) {
                ch.close();
            }

            /// Handles the failure or panic of a callback, or a failure to connect.
            ///
            /// The default logs one line with the channel and the chain of causes, and closes this
            /// channel. A listener stays open, because most likely one of its connections has
            /// failed.
            fn handle_error(self, ch: &mut Channel<'_>, error: Error) {
                defaults::handle_error(self, ch, &error);
            }

            /// Handles a channel that has sent and received nothing for the time set with
            /// [`set_timeout`](Channel::set_timeout).
            ///
            /// The default logs it and closes the channel. If the channel stays open, the time
            /// starts again.
            ///
            /// # Errors
            /// Go to `handle_error`.
            fn handle_timeout(self, ch: &mut Channel<'_>) -> Result {
                defaults::handle_timeout(self, ch);
                Ok(())
            }

            /// Handles the start of a drain ([`SocketMap::drain`](crate::SocketMap::drain)), the
            /// graceful shutdown of the map.
            ///
            /// The default does nothing. Afterwards the channel sends its queue and closes
            /// ([`close_when_done`](Channel::close_when_done)), unless it is
            /// [held open](Channel::hold_open).
            ///
            /// # Errors
            /// Go to `handle_error`.
            fn handle_drain(self, ch: &mut Channel<'_>) -> Result {
                Ok(())
            }
        }
        }
    };
}

macro_rules! declare_events {
    (
        ref { $($(#[$ref_doc:meta])* fn $ref_name:ident($ref_self:ident $(, $ref_arg:ident: $ref_type:ty)*) -> $ref_return:ty $ref_body:block)* }
        mut { $($(#[$mut_doc:meta])* fn $mut_name:ident($mut_self:ident $(, $mut_arg:ident: $mut_type:ty)*) $(-> $mut_return:ty)? $mut_body:block)* }
    ) => {
        $($(#[$ref_doc])* fn $ref_name(&$ref_self $(, $ref_arg: $ref_type)*) -> $ref_return $ref_body)*
        $($(#[$mut_doc])* fn $mut_name(&mut $mut_self $(, $mut_arg: $mut_type)*) $(-> $mut_return)? $mut_body)*
    };
}

macro_rules! forward_events {
    (
        ref { $($(#[$ref_doc:meta])* fn $ref_name:ident($ref_self:ident $(, $ref_arg:ident: $ref_type:ty)*) -> $ref_return:ty $ref_body:block)* }
        mut { $($(#[$mut_doc:meta])* fn $mut_name:ident($mut_self:ident $(, $mut_arg:ident: $mut_type:ty)*) $(-> $mut_return:ty)? $mut_body:block)* }
    ) => {
        $(fn $ref_name(&$ref_self $(, $ref_arg: $ref_type)*) -> $ref_return {
            AsyncChat::$ref_name($ref_self $(, $ref_arg)*)
        })*
        $(fn $mut_name(&mut $mut_self $(, $mut_arg: $mut_type)*) $(-> $mut_return)? {
            AsyncChat::$mut_name($mut_self $(, $mut_arg)*)
        })*
    };
}

pub(crate) use {declare_events, events, forward_events};
