use std::{fs, path::PathBuf, time::Duration};

use ipnet::IpNet;

use super::{CONNECT_ELSEWHERE, Known, Query, Vendor, endpoint, files::Root, imds, question, vendor};

fn query(environment: &[(&str, &str)]) -> Query {
    Query {
        known: Known::default(),
        environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        timeout: Duration::from_secs(2),
        root: PathBuf::from("/nonexistent"),
    }
}

#[test]
fn the_address_family_chooses_the_endpoint() {
    let check = |addresses: &[&str], expected| {
        let addresses: Vec<IpNet> = addresses.iter().map(|net| net.parse().expect("a network")).collect();
        let question = question(&query(&[]), Vendor::Unknown, &addresses).expect("asked");
        assert_eq!(question.endpoints, expected, "{addresses:?}");
    };
    check(&["10.0.1.50/24"], (imds::IPV4, None));
    check(&["10.0.1.50/24", "2600::1/64"], (imds::IPV4, Some(imds::IPV6)));
    check(&["2600::1/64"], (imds::IPV6, Some(imds::IPV4)));
    check(&[], (imds::IPV4, None));
}

#[test]
fn the_environment_may_move_or_switch_off_imds() {
    let asked = |environment: &[(&str, &str)]| {
        question(&query(environment), Vendor::Unknown, &[]).map(|q| q.endpoints.0.to_string())
    };
    assert_eq!(asked(&[("AWS_EC2_METADATA_DISABLED", "true")]), None);
    assert_eq!(asked(&[("AWS_EC2_METADATA_DISABLED", "false")]).as_deref(), Some("169.254.169.254:80"));
    assert_eq!(
        asked(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:99/")]).as_deref(),
        Some("127.0.0.1:99")
    );
    assert_eq!(asked(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "https://x")]).as_deref(), Some("169.254.169.254:80"));
}

#[test]
fn endpoints_are_addresses() {
    let check = |url: &str, expected: Option<&str>| {
        assert_eq!(endpoint(url).map(|address| address.to_string()).as_deref(), expected, "{url}");
    };
    check("http://169.254.169.254", Some("169.254.169.254:80"));
    check("http://[fd00:ec2::254]/", Some("[fd00:ec2::254]:80"));
    check("http://[::1]:8080", Some("[::1]:8080"));
    check("http://imds.example", None);
    check("", None);
}

#[test]
fn the_firmware_names_the_vendor() {
    let check = |files: &[(&str, &str)], expected| {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let place = folder.path().join(path);
            fs::create_dir_all(place.parent().expect("has a parent")).expect("made");
            fs::write(place, text).expect("written");
        }
        assert_eq!(vendor(Root::new(folder.path())), expected, "{files:?}");
    };
    let dmi = "sys/class/dmi/id/sys_vendor";
    check(&[], Vendor::Unknown);
    check(&[(dmi, "Amazon EC2\n")], Vendor::Amazon);
    check(&[(dmi, "Google\n")], Vendor::Other);
    check(&[(dmi, "Xen\n")], Vendor::Unknown);
    check(&[(dmi, "Xen\n"), ("sys/hypervisor/uuid", "ec2e1916-9099-7caf-fd21-012345abcdef\n")], Vendor::Amazon);
}

#[test]
fn elsewhere_a_connection_is_given_up_sooner() {
    let connect = |vendor| question(&query(&[]), vendor, &[]).map(|question| question.connect);
    assert_eq!(connect(Vendor::Other), Some(CONNECT_ELSEWHERE));
    assert_eq!(connect(Vendor::Amazon), Some(Duration::from_secs(2)));
}
