//! Instances under systemd: `bulkhead-PROCESS@N.service`, started and stopped by `systemctl`, which waits until they serve
//! (`Type=notify`) or have ended.

use common::process::Process;

use crate::ask::{Crew, Target};

/// systemd.
#[derive(Debug, Clone)]
pub struct Units;

impl Units {
    pub fn found(crew: &Crew) -> Result<Self, String> {
        Err(format!("error: nobody starts and stops processes in {}", crew.runtime_dir.display()))
    }
    pub fn how_to_keep(&self, _process: Process, _now: &[u32], _before: &[u32]) -> String {
        String::new()
    }
    pub async fn change(&self, _target: &Target, _start: bool) -> Result<(), String> {
        Ok(())
    }
    pub async fn start_page_again(&self) -> Result<(), String> {
        Ok(())
    }
}
