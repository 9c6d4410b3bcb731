//! Our own limits are a host problem, never a target's fault.

use std::{env, process::Command};

use tokio::net::TcpListener;
use vpce_probe::model::{cause::Cause, observation::Outcome};

use crate::{
    bed::{HOST, plan, round, target, zone},
    pki::Authority,
};

/// Runs the test below in a process of its own that may open few files: the limit counts for a whole process.
#[test]
fn running_out_of_descriptors_is_not_the_targets_fault() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 26 && exec \"$0\" --exact limits::with_few_descriptors --ignored --nocapture"])
        .arg(env::current_exe().expect("this test's own file"))
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
#[ignore = "only as a child of the test above"]
async fn with_few_descriptors() {
    let root = Authority::root("Example Root");
    let ca = root.file();
    // Its queue takes the connections without accepting them, so that only the probe's ends are descriptors.
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let many: Vec<String> = (2..26).map(|last| format!("127.0.9.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let seen = round(plan(vec![target(HOST, port)], &ca), zone(&[(HOST, &many)])).await;
    let exhausted = seen[0].exhausted.as_deref().expect("a limit was met");
    assert!(exhausted.contains("EMFILE"), "{exhausted}");
    assert_eq!(seen[0].addresses.len(), 24);
    let mut short = 0;
    for record in &seen[0].addresses {
        let connect = record.connect.as_ref().expect("tried");
        if connect.errno.is_some() {
            short += 1;
            assert_eq!(connect.outcome, Outcome::Failed(Cause::NotFinished), "{connect:?}");
            assert_eq!(connect.errno.as_deref(), Some("EMFILE"));
            assert_eq!(record.tls, None);
        }
    }
    assert!(short > 0);
}
