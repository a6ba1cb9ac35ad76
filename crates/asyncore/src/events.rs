//! The events and predicates that a dispatcher and a dialogue have in common.

/// Hands the list to the macro `$then`: each method with its documentation and its default, once
/// for both traits. `declare_events` makes the methods of a trait of them, `forward_events` the
/// implementation of [`Dispatcher`](crate::Dispatcher) by an [`AsyncChat`](crate::AsyncChat).
macro_rules! events {
    ($then:ident) => {
        $then! {
        ref {
            /// Whether [`handle_read`](Dispatcher::handle_read) is wanted (for a listener,
            /// [`handle_accept`](Dispatcher::handle_accept)).
            ///
            /// By default: while the channel's own output is below its
            /// [high-water mark](Channel::set_high_water), and no more than 64 producers wait, so that a
            /// peer that sends and never reads cannot fill the memory.
            ///
            /// Both predicates are asked again when the channel was touched: it had an event or a timer,
            /// or another channel reached it. They may consult other channels through `ch`, and are asked
            /// again when one of those was touched. An answer that depends on anything else has to be
            /// announced with [`touch`](Channel::touch);
            /// [`check_predicates`](crate::MapBuilder::check_predicates) finds where that was forgotten.
            /// A predicate that panics closes its channel; one that is not overridden is not even called.
            fn readable(self, ch: &Channel<'_>) -> bool {
                ch.default_predicate(Interest::READ)
            }

            /// Whether [`handle_write`](Dispatcher::handle_write) is wanted.
            ///
            /// By default: while output is queued, which is sent whatever this answers. A connection that
            /// is being made is watched without asking.
            fn writable(self, ch: &Channel<'_>) -> bool {
                ch.default_predicate(Interest::WRITE)
            }

            /// The most bytes that one system call sends, 64 KiB; asked once, when the channel is added.
            fn ac_out_buffer_size(self) -> usize {
                Slot::BUFFER_SIZE
            }
        }
        mut {
            /// The socket takes more, and the channel's own queue is empty.
            ///
            /// By default does nothing: the queue is sent without it. A callback that sends nothing is
            /// not called again until its channel is touched; Python called it for ever.
            ///
            /// # Errors
            /// Go to `handle_error`.
            fn handle_write(self, ch: &mut Channel<'_>) -> Result {
                Ok(())
            }

            /// Out-of-band data has arrived, on a channel that
            /// [asked for it](Channel::set_priority): call [`recv_oob`](Channel::recv_oob).
            ///
            /// By default logs a [`Warning`](LogType::Warning).
            ///
            /// # Errors
            /// Go to `handle_error`.
            fn handle_expt(self, ch: &mut Channel<'_>) -> Result {
                defaults::unhandled(self, ch, "incoming priority");
                Ok(())
            }

            /// The connection that [`connect`](Channel::connect) began is made.
            ///
            /// By default does nothing. A failure to connect goes to `handle_error` instead.
            ///
            /// # Errors
            /// Go to `handle_error`.
            fn handle_connect(self, ch: &mut Channel<'_>) -> Result {
                Ok(())
            }

            /// A connection was accepted; `peer` is its address unless it came over a Unix socket.
            ///
            /// By default closes it and logs a [`Warning`](LogType::Warning).
            ///
            /// # Errors
            /// Go to the listener's `handle_error`, whose default logs them and keeps the listener open.
            fn handle_accepted(self, ch: &mut Channel<'_>, sock: Socket, peer: Option<SocketAddr>) -> Result {
                defaults::unhandled(self, ch, "accepted");
                Ok(())
            }

            /// The peer has ended its half of the stream.
            ///
            /// By default the channel sends what is queued and closes
            /// ([`close_when_done`](Channel::close_when_done)), and so comes to
            /// [`handle_close`](Dispatcher::handle_close). One that overrides this can go on sending:
            /// the half-close of a relay. Not called for a connection that was reset.
            ///
            /// # Errors
            /// Go to `handle_error`.
            fn handle_eof(self, ch: &mut Channel<'_>) -> Result {
                ch.close_when_done();
                Ok(())
            }

            /// The channel has ended, for whatever reason; called exactly once, as its last callback.
            ///
            /// By default does nothing more: the socket is closed already, and the handler is dropped
            /// after this. [`close_cause`](Channel::close_cause) tells of an end that was not in order.
            fn handle_close(self, ch: &mut Channel<'_>) {
                ch.close();
            }

            /// A callback failed or panicked, or the connection could not be made.
            ///
            /// By default logs one line that names the channel and tells the chain of causes, and closes
            /// this channel; a listener stays open, since what failed was most likely one of its
            /// connections.
            fn handle_error(self, ch: &mut Channel<'_>, error: Error) {
                defaults::handle_error(self, ch, &error);
            }

            /// Nothing was sent or received for the time given to
            /// [`set_timeout`](Channel::set_timeout).
            ///
            /// By default logs it and closes the channel. If the channel stays open, the time begins anew.
            ///
            /// # Errors
            /// Go to `handle_error`.
            fn handle_timeout(self, ch: &mut Channel<'_>) -> Result {
                defaults::handle_timeout(self, ch);
                Ok(())
            }

            /// A drain has begun ([`SocketMap::drain`](crate::SocketMap::drain)): the loop ends in good
            /// order.
            ///
            /// By default does nothing. Afterwards the channel sends what is queued and closes
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
