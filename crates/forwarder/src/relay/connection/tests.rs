use super::Connection;
use crate::relay::Half;

#[test]
fn an_idle_connection_costs_little_beside_its_two_channels() {
    assert!(size_of::<Connection>() <= 336, "{} bytes", size_of::<Connection>());
    assert!(size_of::<Half>() <= 24, "{} bytes", size_of::<Half>());
}
