//! Values that the channels of one map share.

use std::any::{Any, TypeId};
use std::collections::HashMap;

use crate::map::SocketMap;

/// Values by type, one of each type.
#[derive(Default)]
pub(crate) struct State(HashMap<TypeId, Box<dyn Any>>);

impl SocketMap {
    /// Stores `value` in the map, for all its channels, timers and triggers. Returns the previous
    /// value of that type.
    ///
    /// ```
    /// use asyncore::{Channel, Dispatcher, Result, SocketMap};
    ///
    /// #[derive(Default)]
    /// struct Hits(u64);
    ///
    /// struct Page;
    ///
    /// impl Dispatcher for Page {
    ///     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
    ///         ch.recv(&mut [0; 1024])?;
    ///         let hits = ch.state_mut::<Hits>().map_or(0, |hits| {
    ///             hits.0 += 1;
    ///             hits.0
    ///         });
    ///         ch.push(format!("you are visitor {hits}\n").into_bytes());
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut map = SocketMap::new()?;
    /// map.insert_state(Hits::default());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A change of the value does not make the loop evaluate predicates that read it; that takes a
    /// [touch](crate::Channel::touch) of their channel.
    pub fn insert_state<T: 'static>(&mut self, value: T) -> Option<T> {
        let before = self.state.0.insert(TypeId::of::<T>(), Box::new(value));
        before.and_then(|before| before.downcast().ok()).map(|before| *before)
    }

    /// Returns the value of type `T`, if the map has one.
    pub fn state<T: 'static>(&self) -> Option<&T> {
        self.state.0.get(&TypeId::of::<T>())?.downcast_ref()
    }

    /// Returns the value of type `T`, to change it.
    pub fn state_mut<T: 'static>(&mut self) -> Option<&mut T> {
        self.state.0.get_mut(&TypeId::of::<T>())?.downcast_mut()
    }

    /// Removes the value of type `T` from the map and returns it, for example to use it together
    /// with the map.
    pub fn remove_state<T: 'static>(&mut self) -> Option<T> {
        let value = self.state.0.remove(&TypeId::of::<T>())?;
        value.downcast().ok().map(|value| *value)
    }
}
