//! Causes in TLS and HTTP.

use super::{CauseText, Owner};

pub(super) static TLS_TIMEOUT: CauseText = CauseText {
    meaning: "TCP opens, and the TLS handshake gets no answer in time.",
    symptom: "A wedged middlebox, a path-MTU hole, or a firewall that holds large ClientHellos back.",
    confirm: &[
        "timeout 5 openssl s_client -connect ADDRESS:443 -servername HOST -showcerts </dev/null",
        "timeout 5 openssl s_client -connect ADDRESS:443 -servername HOST -groups X25519 </dev/null",
    ],
    mend: &[
        "If a small hello passes (-groups X25519) and the default does not, see large-hello-blocked.",
        "If both hang, look for an inspecting firewall on the path, and for the MTU (see mtu-blackhole-in).",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static TLS_CLOSED: CauseText = CauseText {
    meaning: "The peer closed the connection during the handshake.",
    symptom: "A proxy or load balancer that does not know the name, or a firewall that filters by SNI.",
    confirm: &["openssl s_client -connect ADDRESS:443 -servername HOST -showcerts </dev/null"],
    mend: &["Allow the name in the firewall that filters by SNI.", "Check that the address is the endpoint's."],
    owner: Owner::NetworkTeam,
};

pub(super) static TLS_RESET: CauseText = CauseText {
    meaning: "The connection was reset during the handshake.",
    symptom: "A firewall that objects to the name (SNI) or to the ClientHello.",
    confirm: &[
        "openssl s_client -connect ADDRESS:443 -servername HOST -showcerts </dev/null",
        "openssl s_client -connect ADDRESS:443 -servername HOST -groups X25519 </dev/null",
    ],
    mend: &[
        "Allow the name in the firewall that filters by SNI.",
        "If only large hellos are reset, see large-hello-blocked.",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static TLS_NOT_TLS: CauseText = CauseText {
    meaning: "What answers on the port does not speak TLS.",
    symptom: "A plain HTTP proxy, a captive portal, or another service on that address.",
    confirm: &[
        "openssl s_client -connect ADDRESS:443 -servername HOST -showcerts </dev/null",
        "curl -sv --max-time 4 http://ADDRESS:443/",
    ],
    mend: &[
        "Check that the address and the port are the endpoint's.",
        "If a proxy answers, let the endpoints' addresses go past it.",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static TLS_PROTOCOL: CauseText = CauseText {
    meaning: "No common TLS version or parameters, or a broken handshake.",
    symptom: "An alert such as 'protocol version' or 'handshake failure'; AWS speaks TLS 1.2 and 1.3.",
    confirm: &[
        "openssl s_client -connect ADDRESS:443 -servername HOST -tls1_2 </dev/null",
        "openssl s_client -connect ADDRESS:443 -servername HOST -tls1_3 </dev/null",
    ],
    mend: &["Look for a middlebox that ends TLS with old versions only; AWS endpoints refuse everything below 1.2."],
    owner: Owner::NetworkTeam,
};

pub(super) static TLS_UNTRUSTED: CauseText = CauseText {
    meaning: "The certificate's chain does not lead to an authority that this host trusts.",
    symptom: "'unknown authority', 'self-signed certificate in chain': TLS inspection, or a broken trust store.",
    confirm: &[
        "openssl s_client -connect ADDRESS:443 -servername HOST -showcerts </dev/null",
        "ls -l /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt",
    ],
    mend: &[
        "If the issuer is a company's, exempt the AWS endpoints from inspection; if it is meant, trust it: extra_ca_file.",
        "If the issuer is Amazon, repair the trust store (package ca-certificates).",
        "If an intermediate is missing, the server must send it.",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static TLS_WRONG_NAME: CauseText = CauseText {
    meaning: "The certificate is valid for other names than the one that was asked for.",
    symptom: "The name leads to another service: a hand-made record, or a proxy with its own certificate.",
    confirm: &[
        "openssl s_client -connect ADDRESS:443 -servername HOST </dev/null | openssl x509 -noout -ext subjectAltName",
        "dig HOST",
    ],
    mend: &[
        "Make the name lead to the endpoint of this very service: check the private hosted zone's records.",
        "FIPS and dual-stack names need endpoints of their own.",
    ],
    owner: Owner::VpcOwner,
};

pub(super) static TLS_EXPIRED: CauseText = CauseText {
    meaning: "The certificate's life is over, by this host's clock.",
    symptom: "One service alone: its certificate. All of them: this host's clock.",
    confirm: &[
        "date -u",
        "openssl s_client -connect ADDRESS:443 -servername HOST </dev/null | openssl x509 -noout -dates",
    ],
    mend: &[
        "If the clock is wrong, set it: chronyc makestep (the time source in a VPC is 169.254.169.123).",
        "Else the server's owner must renew the certificate.",
    ],
    owner: Owner::EndpointOwner,
};

pub(super) static TLS_NOT_YET_VALID: CauseText = CauseText {
    meaning: "The certificate's life has not begun, by this host's clock.",
    symptom: "Mostly this host's clock, which is behind.",
    confirm: &[
        "date -u",
        "openssl s_client -connect ADDRESS:443 -servername HOST </dev/null | openssl x509 -noout -dates",
    ],
    mend: &["Set the clock: chronyc makestep (the time source in a VPC is 169.254.169.123)."],
    owner: Owner::ThisHost,
};

pub(super) static LARGE_HELLO_BLOCKED: CauseText = CauseText {
    meaning: "A ClientHello with a post-quantum key share, in two segments at an MTU of 1,500, is dropped or reset where a small one passes.",
    symptom: "amazon-ssm-agent 3.3.2299 and later, programs built with Go 1.23 and later and today's AWS SDKs cannot connect; older ones and openssl 3.0 work.",
    confirm: &[
        // As large as a post-quantum hello, with which OpenSSL before 3.5 cannot begin.
        "timeout 5 openssl s_client -connect ADDRESS:443 -servername HOST -groups X25519 -alpn $(printf 'filler-%0200d,' 1 2 3 4 5 6 7 8)http/1.1 </dev/null",
        "timeout 5 openssl s_client -connect ADDRESS:443 -servername HOST -groups X25519 </dev/null",
    ],
    mend: &[
        "The firewall on the path must reassemble TCP before it inspects TLS: update it, or exempt these names (seen with AWS Network Firewall, Suricata 6 and appliances).",
        "It breaks amazon-ssm-agent 3.3.2299 and later, programs in Go 1.23 and later, and AWS SDKs: for those in Go, GODEBUG=tlsmlkem=0 (1.24 and later) or tlskyber=0 (1.23) in a drop-in of their unit.",
        "This probe's own: post_quantum = false under [tls] in its config; then it no longer sees this either.",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static CERTIFICATE_EXPIRING: CauseText = CauseText {
    meaning: "The certificate's life ends within the warning time (tls.expiry_warning).",
    symptom: "Works today.",
    confirm: &["openssl s_client -connect ADDRESS:443 -servername HOST </dev/null | openssl x509 -noout -dates"],
    mend: &["AWS renews its own in time; for a company's host, or an inspecting proxy, tell the certificate's owner."],
    owner: Owner::EndpointOwner,
};

pub(super) static TLS_SLOW: CauseText = CauseText {
    meaning: "The TLS handshake took longer than a second.",
    symptom: "Every new connection is slow by as much.",
    confirm: &["openssl s_client -connect ADDRESS:443 -servername HOST -showcerts </dev/null"],
    mend: &["Nothing to do for a single round; if it stays, look for loss or an inspecting device on the path."],
    owner: Owner::NetworkTeam,
};

pub(super) static ISSUER_UNEXPECTED: CauseText = CauseText {
    meaning: "The certificate is trusted, and its issuer is not one of those expected (tls.expected_issuers).",
    symptom: "TLS inspection by an authority that this host trusts, or a partition with another authority.",
    confirm: &["openssl s_client -connect ADDRESS:443 -servername HOST -showcerts </dev/null"],
    mend: &["If inspection is meant, add its issuer to tls.expected_issuers; else exempt the AWS endpoints from it."],
    owner: Owner::NetworkTeam,
};

pub(super) static HTTP_TIMEOUT: CauseText = CauseText {
    meaning: "TLS is fine, and no complete HTTP answer came in time.",
    symptom: "Requests hang: large packets vanish, or a proxy holds them.",
    confirm: &["curl -sv --max-time 8 https://HOST/", "ip route get ADDRESS"],
    mend: &["Look at the path's MTU (see mtu-blackhole-out) and for proxies between this host and the endpoint."],
    owner: Owner::NetworkTeam,
};

pub(super) static HTTP_CLOSED: CauseText = CauseText {
    meaning: "The connection ended before a complete HTTP answer.",
    symptom: "A middlebox closes after the handshake.",
    confirm: &["curl -sv --max-time 8 https://HOST/"],
    mend: &["Look for an inspecting device on the path that closes the connection."],
    owner: Owner::NetworkTeam,
};

pub(super) static S3_ACCESS_DENIED: CauseText = CauseText {
    meaning: "S3 is reached, and refuses an object that AWS publishes for the SSM agent.",
    symptom: "Agent updates, patches and packages fail with 403: the S3 endpoint's policy, or the bucket's. Which one, a host cannot tell.",
    confirm: &[
        "curl -s https://HOST/amazon-ssm-REGION/latest/VERSION",
        "aws ec2 describe-vpc-endpoints --filters Name=service-name,Values=com.amazonaws.REGION.s3 --query 'VpcEndpoints[].PolicyDocument' --region REGION",
    ],
    mend: &[
        "In the S3 endpoint's policy, allow s3:GetObject on AWS's SSM buckets without a condition on the principal: these requests are unsigned.",
        "If the fleet denies it on purpose, nothing is to be done.",
    ],
    owner: Owner::EndpointOwner,
};

pub(super) static S3_WRONG_REGION: CauseText = CauseText {
    meaning: "S3 redirects: the bucket lives in another region.",
    symptom: "301 or 307 with x-amz-bucket-region; in a subnet without a way out, following it fails.",
    confirm: &["curl -sI https://HOST/amazon-ssm-REGION/latest/VERSION"],
    mend: &["Set region to the one that this instance runs in."],
    owner: Owner::ThisHost,
};

pub(super) static HTTP_SERVER_ERROR: CauseText = CauseText {
    meaning: "The service answered with a 5xx status.",
    symptom: "It is reached, and not well at the moment.",
    confirm: &["curl -s -o /dev/null -w '%{http_code}' https://HOST/", "aws health describe-events --region us-east-1"],
    mend: &["Wait and look again; if it stays, see AWS's health dashboard."],
    owner: Owner::Aws,
};

pub(super) static HTTP_NOT_AWS: CauseText = CauseText {
    meaning: "A complete answer without any mark of AWS in its headers.",
    symptom: "A proxy that strips headers, or answers itself; a verified certificate is proof enough that the name is right.",
    confirm: &["curl -sI https://HOST/"],
    mend: &["If a proxy is on the path by design, nothing is to be done; else find what answers."],
    owner: Owner::NetworkTeam,
};
