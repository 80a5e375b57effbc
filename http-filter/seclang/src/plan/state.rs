//! What the plan knows about one transaction.
#[derive(Debug, Default)]
pub(crate) struct State {}
impl State {
    pub(crate) fn clear(&mut self) {}
}
