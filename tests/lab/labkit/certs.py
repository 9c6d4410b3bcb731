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
import typing

from labkit import netns
from labkit.scenario import dns_suffix

SERVICES = ["ssm", "ssmmessages", "s3", "ec2messages", "logs", "monitoring", "kms", "ec2", "sts", "secretsmanager"]
# The issuer reads like the real one, so that a healthy subnet has no `issuer-unexpected` note.
LAB_ORG, CORPORATE_ORG = "Amazon", "Example Corp"
DAY = datetime.timedelta(days=1)


class Flavour(typing.NamedTuple):
    """How a leaf is made; days count from today."""

    issuer: str | None = "lab-2"
    first_day: int = -30
    last_day: int = 300
    right_names: bool = True
    sends_intermediates: bool = True
    key: str = "leaf"


FLAVOURS = {
    "good": Flavour(),
    "expired": Flavour(first_day=-400, last_day=-3),
    "not-yet-valid": Flavour(first_day=2),
    "expiring": Flavour(first_day=-300, last_day=5),
    "wrong-name": Flavour(right_names=False),
    "missing-intermediate": Flavour(sends_intermediates=False),
    "foreign-ca": Flavour(issuer="corporate-root"),
    "self-signed": Flavour(issuer=None),
    # Elliptic curves, few names, no intermediates: the whole flight fits one segment at MTU 1500.
    "small-chain": Flavour(issuer="lab-ec-root", key="small"),
}

# What a server sends after its leaf, by the leaf's issuer.
INTERMEDIATES = {"lab-2": ["lab-2", "lab-1"], "corporate-root": ["corporate-root"]}
RSA_KEYS = ["lab-root", "lab-1", "lab-2", "corporate-root", "leaf"]
EC_KEYS = ["lab-ec-root", "small"]
FEW = 3

CA_CONFIG = """
[ca]
default_ca = lab
[lab]
database = index.txt
new_certs_dir = .
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
[small]
basicConstraints = critical,CA:FALSE
subjectAltName = {sans}
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

    def key(self, flavour):
        """The private key of a flavour's leaf."""
        return self.dir / f"{FLAVOURS[flavour].key}.key"

    def chain(self, region, flavour):
        """What a server sends for a flavour."""
        return self.dir / f"{region}-{flavour}.chain.pem"

    def _authorities(self):
        # Built aside and renamed: an interrupted run leaves no half CA behind.
        final, self.dir = self.dir, self.dir.with_name("new")
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir()
        for name in RSA_KEYS:
            self._openssl(f"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {name}.key")
        for name in EC_KEYS:
            self._openssl(f"genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key")
        self._sign("lab-root", LAB_ORG, "Lab Services Root CA", "lab-root", None)
        self._sign("lab-ec-root", LAB_ORG, "Lab Services Root CA, elliptic", "lab-ec-root", None)
        self._sign("lab-1", LAB_ORG, "Amazon Lab Root CA 1", "lab-1", "lab-root")
        self._sign("lab-2", LAB_ORG, "Amazon RSA 2048 M99 (lab)", "lab-2", "lab-1")
        self._sign("corporate-root", CORPORATE_ORG, "Example Corp Inspection CA", "corporate-root", None)
        self.dir = self.dir.rename(final)

    def _leaf(self, region, flavour):
        recipe, name = FLAVOURS[flavour], f"{region}-{flavour}"
        names = _server_names(region) if recipe.right_names else _server_names("eu-central-1")
        if recipe.key == "small":
            names = names[:FEW]
        self._sign(name, LAB_ORG, names[0], recipe.key, recipe.issuer, recipe.first_day, recipe.last_day, names)
        links = [name] + (INTERMEDIATES.get(recipe.issuer, []) if recipe.sends_intermediates else [])
        # Renamed into place: what exists is complete.
        partial = self.chain(region, flavour).with_suffix(".partial")
        partial.write_text("".join((self.dir / f"{link}.pem").read_text() for link in links))
        partial.rename(self.chain(region, flavour))

    def _sign(self, name, organisation, common_name, key, issuer, first=-1000, last=1000, names=("unused",)):
        """Signs `name`.pem; without an issuer it signs itself. `openssl ca` because it alone takes both dates."""
        sans = ",".join(f"DNS:{n}" for n in names)
        (self.dir / f"{name}.cnf").write_text(CA_CONFIG.format(sans=sans))
        (self.dir / "index.txt").write_text("")
        subject = f"/C=US/O={organisation}/CN={common_name}"
        self._openssl(f"req -new -key {key}.key -out {name}.csr -config /dev/null -subj", subject)
        signer = f"-cert {issuer}.pem -keyfile {issuer}.key" if issuer else f"-selfsign -keyfile {key}.key"
        extensions = key if key in ("leaf", "small") else "issuer"
        self._openssl(
            f"ca -batch -notext -config {name}.cnf -in {name}.csr -out {name}.pem {signer} "
            f"-extensions {extensions} -startdate {_stamp(first)} -enddate {_stamp(last)}"
        )

    def _openssl(self, command, *last_arguments):
        netns.run("openssl", *command.split(), *last_arguments, cwd=self.dir)


def _server_names(region):
    """As many names as a leaf of AWS's carries: the services, and those of their endpoints."""
    suffix = dns_suffix(region)
    zones = [f"vpce-0123456789abcdef0-abcdefgh-{region}{zone}" for zone in "abc"]
    endpoints = [f"{z}.{s}.{region}.vpce.{suffix}" for s in ("ssm", "s3", "logs", "monitoring") for z in zones]
    return [f"{service}.{region}.{suffix}" for service in SERVICES] + endpoints + ["vault.corp.example"]


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
    lab = ["lab-root", "lab-ec-root"]
    for root in {"lab": lab, "lab+corporate": [*lab, "corporate-root"]}.get(kind, []):
        certificate = certificates.dir / f"{root}.pem"
        with open(bundle, "a") as out:
            out.write(certificate.read_text())
        # openssl and curl look a root up by the hash of its subject
        digest = netns.run("openssl", "x509", "-subject_hash", "-noout", "-in", str(certificate)).strip()
        shutil.copy(certificate, os.path.join(target, f"{digest}.0"))
