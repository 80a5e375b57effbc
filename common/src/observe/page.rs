//! The answer to `Control::Metrics`: this process's figures as text, written into the stream that came with the question.
//!
//! A stream and not the reply itself, because the text of many routes is larger than a frame. Whoever asked was checked
//! ([`crate::ipc::peer`]); if it does not read, the text is dropped after [`DEADLINE`].

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::exposition::{Kind, MAX_PAGE, Page};
use super::metrics::Figures;
use super::output;
use crate::process::Process;

/// How long the asker may take to read.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// What a process tells of itself beside its figures.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Which process.
    pub process: Process,
    /// Which instance, from 1.
    pub instance: u32,
    /// Since it began to serve.
    pub uptime: Duration,
    /// It finishes.
    pub draining: bool,
    /// Every layer of its sandbox holds.
    pub sandboxed: bool,
}

/// The page.
#[must_use]
pub fn render(facts: &Facts, figures: &dyn Figures) -> String {
    let mut page = Page::new(facts.process.name(), facts.instance);
    page.family("build_info", Kind::Gauge, "1; the release stands in the label");
    page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family("uptime_seconds", Kind::Gauge, "seconds since the process began to serve");
    page.sample(&[], facts.uptime.as_secs());
    page.family("draining", Kind::Gauge, "1 while the process finishes");
    page.sample(&[], facts.draining.into());
    page.family("sandboxed", Kind::Gauge, "1 if every layer of the sandbox holds");
    page.sample(&[], facts.sandboxed.into());
    if let Ok(usage) = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF) {
        let micros = |time: nix::sys::time::TimeVal| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
            seconds.saturating_mul(1_000_000).saturating_add(u64::try_from(time.tv_usec()).unwrap_or_default())
        };
        page.family("cpu_seconds", Kind::Counter, "processor time used, in the kernel and outside");
        page.micros(micros(usage.user_time()).saturating_add(micros(usage.system_time())));
        page.family("max_resident_bytes", Kind::Gauge, "most memory that was resident at once");
        page.sample(&[], u64::try_from(usage.max_rss()).unwrap_or_default().saturating_mul(1024));
    }
    let own = figures.read().into_iter().chain(output::figures().map(|(name, value)| (name.into(), value)));
    page.figures(figures, &own.collect::<Vec<_>>());
    page.finish()
}

/// Writes `text` into the asker's stream, in a task of its own.
pub fn send(stream: OwnedFd, text: String) {
    tokio::task::spawn_local(async move {
        let stream = StdStream::from(stream);
        let Ok(mut stream) = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream)) else { return };
        let written = tokio::time::timeout(DEADLINE, stream.write_all(text.as_bytes())).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::debug!("whoever asked for the figures did not read them to the end");
        }
    });
}

/// Reads such a text; the front door's side.
///
/// # Errors
/// The stream broke, the text is larger than [`MAX_PAGE`], or it is no text.
pub async fn receive(stream: UnixStream) -> std::io::Result<String> {
    use tokio::io::AsyncReadExt;
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_PAGE).unwrap_or(u64::MAX);
    stream.take(most + 1).read_to_end(&mut bytes).await?;
    if bytes.len() > MAX_PAGE {
        return Err(std::io::Error::other(format!("more than {MAX_PAGE} bytes of figures")));
    }
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    crate::figures! {
        /// For the test.
        struct Sample {
            accepted: "connections accepted",
            open: "connections open now",
        }
    }

    #[test]
    fn a_page_has_the_process_its_figures_and_those_of_its_log() {
        let sample = Sample::default();
        sample.accepted.add(3);
        let uptime = Duration::from_secs(61);
        let facts = Facts { process: Process::SniRouter, instance: 2, uptime, draining: false, sandboxed: true };
        let text = render(&facts, &sample);
        for line in [
            "# TYPE bulkhead_sni_router_accepted_total counter",
            "bulkhead_sni_router_accepted_total{instance=\"2\"} 3",
            "# TYPE bulkhead_sni_router_open gauge",
            "bulkhead_sni_router_open{instance=\"2\"} 0",
            "bulkhead_sni_router_uptime_seconds{instance=\"2\"} 61",
            "bulkhead_sni_router_sandboxed{instance=\"2\"} 1",
            "# TYPE bulkhead_sni_router_log_dropped_total counter",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} is missing in\n{text}");
        }
        assert!(text.contains("bulkhead_sni_router_cpu_seconds_total{instance=\"2\"} "));
    }

    #[test]
    fn a_text_larger_than_any_buffer_arrives_whole() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build_local(tokio::runtime::LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let text = "a line\n".repeat(200_000);
            send(theirs.into_std().unwrap().into(), text.clone());
            assert_eq!(receive(ours).await.unwrap(), text);
        });
    }
}
