//! The plan: see `ruleset`.
#[derive(Debug, Default)]
pub(crate) struct Plan {}
impl Plan {
    pub(crate) fn build(_set: &crate::ruleset::RuleSet) -> Self {
        Self {}
    }
}
