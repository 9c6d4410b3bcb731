"""The private CA and its chains, made by openssl once a day and shared by all labs.

The good chain is about as heavy as AWS's: RSA-2048 leaf with many SANs and two intermediates, ~5 KB on the wire.
Every broken flavour differs from it in exactly one property.
"""

import datetime
import fcntl
import hashlib
import os
import pathlib
import shutil

from labkit import netns
from labkit.scenario import dns_suffix

SERVICES = ["ssm", "ssmmessages", "ec2messages", "logs", "monitoring", "s3", "kms", "ec2", "sts", "secretsmanager"]
# The issuer reads like the real one, so that a healthy subnet has no `issuer-unexpected` note.
LAB_ORG, CORPORATE_ORG = "Amazon", "Example Corp"
DAY = datetime.timedelta(days=1)

# flavour → (CA, first day, last day, whether the names are the right ones, whether intermediates are sent)
FLAVOURS = {
    "good": ("lab", -30, 300, True, True),
    "expired": ("lab", -400, -3, True, True),
    "not-yet-valid": ("lab", 2, 300, True, True),
    "expiring": ("lab", -300, 5, True, True),
    "wrong-name": ("lab", -30, 300, False, True),
    "missing-intermediate": ("lab", -30, 300, True, False),
    "foreign-ca": ("corporate", -30, 300, True, True),
    "self-signed": (None, -30, 300, True, False),
}

CA_CONFIG = """
[ca]
default_ca = lab
[lab]
database = {dir}/index.txt
new_certs_dir = {dir}
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = none
unique_subject = no
[any]
countryName = optional
organizationName = optional
commonName = supplied
[issuer]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityInfoAccess = OCSP;URI:http://ocsp.lab.invalid,caIssuers;URI:http://crt.lab.invalid/issuer.cer
crlDistributionPoints = URI:http://crl.lab.invalid/issuer.crl
certificatePolicies = 2.23.140.1.2.1
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = serverAuth
subjectAltName = {sans}
authorityInfoAccess = OCSP;URI:http://ocsp.lab.invalid,caIssuers;URI:http://crt.lab.invalid/leaf.cer
crlDistributionPoints = URI:http://crl.lab.invalid/leaf.crl
certificatePolicies = 2.23.140.1.2.1
"""


class Certificates:
    """A directory with one root and the requested chains."""

    def __init__(self, base):
        recipe = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:12]
        self.base = pathlib.Path(base)
        # Dates are relative to today: yesterday's certificates are thrown away.
        self.dir = self.base / f"{datetime.date.today()}-{recipe}"

    def prepare(self, region, flavours):
        """Makes what is missing; safe against labs that start at the same moment."""
        self.base.mkdir(parents=True, exist_ok=True)
        with open(self.base / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.dir.exists():
                for old in self.base.glob("20*"):
                    shutil.rmtree(old)
                self._authorities()
            for flavour in flavours:
                if not self.chain(region, flavour).exists():
                    self._leaf(region, flavour)
        return self

    @property
    def key(self):
        """The private key of every leaf."""
        return self.dir / "leaf.key"

    def chain(self, region, flavour):
        """What a server sends for a flavour."""
        return self.dir / f"{region}-{flavour}.chain.pem"

    def _authorities(self):
        # Built aside and renamed: an interrupted run leaves no half CA behind.
        final, self.dir = self.dir, self.dir.with_name("new")
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir()
        for name in ("lab-root", "lab-1", "lab-2", "corporate-root", "leaf"):
            netns.run(
                "openssl",
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
                "-out",
                f"{self.dir}/{name}.key",
            )
        self._sign("lab-root", LAB_ORG, "Lab Services Root CA", "lab-root", None)
        self._sign("lab-1", LAB_ORG, "Amazon Lab Root CA 1", "lab-1", "lab-root")
        self._sign("lab-2", LAB_ORG, "Amazon RSA 2048 M99 (lab)", "lab-2", "lab-1")
        self._sign("corporate-root", CORPORATE_ORG, "Example Corp Inspection CA", "corporate-root", None)
        self.dir = self.dir.rename(final)

    def _leaf(self, region, flavour):
        authority, first, last, right_names, send_intermediates = FLAVOURS[flavour]
        name = f"{region}-{flavour}"
        names = _server_names(region if right_names else "eu-central-1", right_names)
        issuer = {"lab": "lab-2", "corporate": "corporate-root", None: None}[authority]
        self._sign(name, LAB_ORG, names[0], "leaf", issuer, first, last, ",".join(f"DNS:{n}" for n in names))
        links = [name] + {"lab": ["lab-2", "lab-1"], "corporate": ["corporate-root"]}.get(
            authority, []
        ) * send_intermediates
        text = "".join((self.dir / f"{link}.pem").read_text() for link in links)
        partial = self.chain(region, flavour).with_suffix(".partial")
        partial.write_text(text)
        partial.rename(self.chain(region, flavour))

    def _sign(self, name, organisation, common_name, key, issuer, first=-1000, last=1000, sans="DNS:unused"):
        """Signs `name`.pem; without an issuer it signs itself. `openssl ca` because it alone takes both dates."""
        config = self.dir / f"{name}.cnf"
        config.write_text(CA_CONFIG.format(dir=self.dir, sans=sans))
        (self.dir / "index.txt").write_text("")
        request, out = self.dir / f"{name}.csr", self.dir / f"{name}.pem"
        netns.run(
            "openssl",
            "req",
            "-new",
            "-key",
            f"{self.dir}/{key}.key",
            "-out",
            str(request),
            "-subj",
            f"/C=US/O={organisation}/CN={common_name}",
            "-config",
            "/dev/null",
        )
        signer = ["-selfsign", "-keyfile", f"{self.dir}/{key}.key"]
        if issuer:
            signer = ["-cert", f"{self.dir}/{issuer}.pem", "-keyfile", f"{self.dir}/{issuer}.key"]
        netns.run(
            "openssl",
            "ca",
            "-batch",
            "-notext",
            "-config",
            str(config),
            "-in",
            str(request),
            "-out",
            str(out),
            *signer,
            "-extensions",
            "leaf" if key == "leaf" else "issuer",
            "-startdate",
            _stamp(first),
            "-enddate",
            _stamp(last),
        )


def _server_names(region, with_vpce):
    suffix = dns_suffix(region)
    names = [f"{service}.{region}.{suffix}" for service in SERVICES]
    if with_vpce:
        names += [
            f"vpce-0123456789abcdef0-abcdefgh-{region}{az}.{s}.{region}.vpce.{suffix}"
            for s in ("ssm", "s3", "logs", "monitoring")
            for az in "abc"
        ]
        names += ["vault.corp.example"]
    return names


def _stamp(days):
    return (datetime.datetime.now(datetime.timezone.utc) + days * DAY).strftime("%Y%m%d%H%M%SZ")


def trust_directory(certificates, target, kind):
    """Fills a directory that stands in for /etc/ssl/certs: the lab's root, a company's too, nothing, or rubbish."""
    os.makedirs(target)
    bundle = os.path.join(target, "ca-certificates.crt")
    if kind == "garbage":
        pathlib.Path(bundle).write_text(
            "-----BEGIN CERTIFICATE-----\nthis is no certificate\n-----END CERTIFICATE-----\n"
        )
    for root in {"lab": ["lab-root"], "lab+corporate": ["lab-root", "corporate-root"]}.get(kind, []):
        certificate = certificates.dir / f"{root}.pem"
        with open(bundle, "a") as out:
            out.write(certificate.read_text())
        # openssl and curl look a root up by the hash of its subject
        digest = netns.run("openssl", "x509", "-subject_hash", "-noout", "-in", str(certificate)).strip()
        shutil.copy(certificate, os.path.join(target, f"{digest}.0"))
