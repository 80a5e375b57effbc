//! The plan: see `ruleset`.
pub(crate) mod state;
use crate::rule::{Phase, Rule};
use crate::transaction::PlannedScratch;
use crate::transaction::Transaction;
use crate::transaction::values::Found;
#[derive(Debug, Default)]
pub(crate) struct Plan {}
impl Plan {
    pub(crate) fn build(_set: &crate::ruleset::RuleSet) -> Self {
        Self {}
    }
}
impl Transaction {
    pub(crate) fn prepare(&mut self, _phase: Phase) {}
    pub(crate) fn cannot_match(&mut self, _number: usize) -> bool {
        false
    }
    pub(crate) fn is_planned(&self, _number: usize) -> bool {
        false
    }
    pub(crate) fn test_planned(
        &mut self,
        _rule: &Rule,
        _number: usize,
        _value: &Found,
        _scratch: &mut PlannedScratch<'_>,
    ) {
    }
}
