//! Which metric series a config makes, and what they cost.

use std::fmt::Write as _;

use crate::{
    config::{Config, MtuMode},
    metric::{
        Name, Owner, Presence, Series, Settings,
        cost::{self, PRICES},
        series,
    },
    model::{sample::Origin, target::Target},
    plan,
};

/// What metrics would be shipped, and their price; nothing where none are shipped.
pub(super) struct Bill {
    shipped: Option<Shipped>,
}

struct Shipped {
    settings: Settings,
    series: Vec<Series>,
    instances: u32,
    warning_usd: f64,
}

impl Bill {
    pub(super) fn new(config: &Config, targets: &[Target], instances: u32) -> Self {
        let shipped = config.cloudwatch.enabled.then(|| {
            let settings = plan::metrics(config);
            let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
            let mut series = series(&settings, &names, &somewhere());
            series.retain(|one| config.mtu.mode != MtuMode::Off || one.metric != Name::PathMtuOut);
            Shipped { settings, series, instances, warning_usd: config.cloudwatch.monthly_warning_usd }
        });
        Self { shipped }
    }

    /// That one host costs more than the config allows.
    pub(super) fn warning(&self) -> Option<String> {
        let shipped = self.shipped.as_ref()?;
        let one = cost::instance(&shipped.settings, &shipped.series);
        (one.total_usd() > shipped.warning_usd).then(|| {
            format!(
                "metrics of each host would cost {} a month, more than monthly_warning_usd ({}): {} for its {} own series, \
                 {} for {} requests",
                usd(one.total_usd()),
                usd(shipped.warning_usd),
                usd(one.series_usd),
                one.series,
                usd(one.requests_usd),
                grouped(one.requests),
            )
        })
    }

    /// The list and the price, for people, at most 80 columns wide.
    pub(super) fn show(&self) -> String {
        match &self.shipped {
            None => "\nNo metrics are shipped: [cloudwatch] enabled is false.\n".to_owned(),
            Some(shipped) => shipped.list() + &shipped.price(),
        }
    }
}

impl Shipped {
    fn list(&self) -> String {
        let mut out = format!("\nMetric series in namespace {}:\n\n", self.settings.namespace);
        self.groups(Presence::Steady, &mut out);
        out.push_str("\nFurther ones, at most, only while there is something to say:\n\n");
        self.groups(Presence::Trouble, &mut out);
        if !self.settings.fixed_dimensions.is_empty() {
            let fixed: Vec<String> =
                self.settings.fixed_dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
            out.push('\n');
            wrapped(&mut out, "", &format!("Each has also {}", fixed.join(", ")));
        }
        out
    }

    /// The series of one presence by their dimensions, a paragraph each.
    fn groups(&self, presence: Presence, out: &mut String) {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for one in self.series.iter().filter(|one| one.presence == presence) {
            let dimensions = self.own_names(one);
            let group = match groups.iter_mut().find(|group| group.dimensions == dimensions) {
                Some(group) => group,
                None => groups.push_mut(Group { dimensions, owner: one.owner, metrics: Vec::new(), series: 0 }),
            };
            group.series += 1;
            if !group.metrics.contains(&one.metric.as_str()) {
                group.metrics.push(one.metric.as_str());
            }
        }
        for group in groups {
            let each = match group.owner {
                Owner::Vpc => "",
                Owner::Zone => " (in each zone)",
                Owner::Subnet => " (in each subnet)",
                Owner::Instance => " (of each host)",
            };
            let text = format!("{}{each}: {}", group.dimensions.join(" + "), group.metrics.join(", "));
            wrapped(out, &format!("{:5}  ", group.series), &text);
        }
    }

    /// The names of a series' dimensions, without those that every series has.
    fn own_names<'a>(&self, series: &'a Series) -> Vec<&'a str> {
        let fixed = |name: &str| self.settings.fixed_dimensions.iter().any(|(other, _)| other == name);
        series.dimensions.iter().map(|(name, _)| name.as_str()).filter(|name| !fixed(name)).collect()
    }

    fn price(&self) -> String {
        let one = cost::instance(&self.settings, &self.series);
        let all = cost::fleet(&self.settings, &self.series, self.instances);
        let mut out = format!("\nWhat they cost in 30 days (list prices: {}):\n\n", PRICES.as_of);
        let hosts = match self.instances {
            1 => "one host and its VPC".to_owned(),
            many => format!("{} hosts of one VPC", grouped(f64::from(many))),
        };
        bill(&mut out, &format!("Each host, beside what all hosts share: {}", usd(one.total_usd())), &one);
        bill(&mut out, &format!("Together, {hosts}: {}", usd(all.total_usd())), &all);
        if self.series.iter().any(|one| matches!(one.owner, Owner::Zone | Owner::Subnet)) {
            let (zones, subnets) = cost::spread();
            let _ = writeln!(out, "  (in at most {zones} zones and {subnets} subnets)");
        }
        let sick = cost::sick_hour(&self.settings, &self.series);
        let text = format!(
            "A host that is not healthy adds ${sick:.4} an hour, each cause that shows in the VPC ${:.4}. The hours of the \
             endpoints themselves, alarms, and what is free for each account are not in it.",
            cost::series_hour()
        );
        out.push('\n');
        wrapped(&mut out, "", &text);
        out
    }
}

struct Group<'a> {
    dimensions: Vec<&'a str>,
    owner: Owner,
    metrics: Vec<&'static str>,
    series: usize,
}

fn bill(out: &mut String, title: &str, bill: &cost::Bill) {
    let _ = writeln!(out, "  {title}");
    let mut line = |what: &str, price: f64| {
        let _ = writeln!(out, "    {what:40}{:>14}", usd(price));
    };
    line(&format!("{} series", grouped_whole(bill.series)), bill.series_usd);
    line(&format!("{} requests", grouped(bill.requests)), bill.requests_usd);
    line(&format!("{:.1} GB through PrivateLink, about", bill.endpoint_bytes / 1e9), bill.endpoint_usd);
}

/// A host of which all is known: it makes every series that any host makes.
fn somewhere() -> Origin {
    let known = || Some("known".to_owned());
    Origin {
        instance_id: known(),
        region: known(),
        vpc_id: known(),
        subnet_id: known(),
        availability_zone: known(),
        availability_zone_id: known(),
    }
}

/// Words in lines of at most [`WIDTH`] columns, the first after `head`, the others below its end.
fn wrapped(out: &mut String, head: &str, text: &str) {
    let mut line = head.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.len() + 1 + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = " ".repeat(head.len());
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    out.push_str(&line);
    out.push('\n');
}

fn usd(amount: f64) -> String {
    if amount > 0.0 && amount < 0.005 {
        return "under $0.01".to_owned();
    }
    let cents = format!("{amount:.2}");
    match cents.split_once('.') {
        Some((whole, part)) => format!("${}.{part}", thousands(whole)),
        None => format!("${cents}"),
    }
}

fn grouped(number: f64) -> String {
    thousands(&format!("{number:.0}"))
}

fn grouped_whole(number: u64) -> String {
    thousands(&number.to_string())
}

/// `43200000` as `43,200,000`.
fn thousands(digits: &str) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

const WIDTH: usize = 80;

#[cfg(test)]
mod tests {
    use super::{Bill, thousands, usd, wrapped};
    use crate::{
        config::{self, Config},
        model::target::Target,
        plan::{self, Choice},
    };

    fn targets(config: &Config) -> Vec<Target> {
        plan::targets(config, &Choice::default(), Some("eu-west-1"), None).expect("targets").0
    }

    fn of(text: &str, instances: u32) -> Bill {
        let config = config::parse("test.toml", text).expect("a right config").config;
        Bill::new(&config, &targets(&config), instances)
    }

    #[test]
    fn screens_are_as_reviewed() {
        let sets = "[cloudwatch]\ndetail = \"instance\"\nfixed_dimensions = { Team = \"core\", Stage = \"production\" }\n\
                    extra_dimension_sets = [[\"AvailabilityZoneId\", \"Target\"], [\"SubnetId\"]]\n";
        insta::with_settings!({ snapshot_path => "../../../tests/snapshots" }, {
            insta::assert_snapshot!("one", of("", 1).show());
            insta::assert_snapshot!("fleet", of("", 5000).show());
            insta::assert_snapshot!("sets", of(sets, 1000).show());
        });
        for text in [of("", 1_000_000).show(), of(sets, 1_000_000).show()] {
            assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        }
    }

    #[test]
    fn one_host_that_costs_too_much_is_warned_of() {
        let warning = |text: &str| of(text, 1).warning();
        assert_eq!(warning(""), None);
        let dear = warning("[cloudwatch]\ndetail = \"instance\"\nmonthly_warning_usd = 2\n").expect("a warning");
        assert!(dear.contains("$2.19") && dear.contains("($2.00)") && dear.contains("7 own series"), "{dear}");
        assert_eq!(warning("[cloudwatch]\ndetail = \"instance\"\nmonthly_warning_usd = 3\n"), None);
        // What the VPC shares is not one host's.
        assert_eq!(warning("[cloudwatch]\nmonthly_warning_usd = 0.1\n"), None);
        assert!(warning("[cloudwatch]\nmonthly_warning_usd = 0\n").is_some());
    }

    #[test]
    fn what_is_not_shipped_costs_nothing() {
        let off = of("[cloudwatch]\nenabled = false\ndetail = \"instance\"\nmonthly_warning_usd = 0\n", 5000);
        assert_eq!(off.warning(), None);
        assert!(off.show().contains("No metrics are shipped") && !off.show().contains('$'));
        assert!(of("", 1).show().contains("PathMtuOut"));
        assert!(!of("[mtu]\nmode = \"off\"\n", 1).show().contains("PathMtuOut"));
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(["1", "12", "123", "1234", "43200000"].map(thousands), ["1", "12", "123", "1,234", "43,200,000"]);
        assert_eq!([0.0, 0.004, 0.005_1, 1234.5].map(usd), ["$0.00", "under $0.01", "$0.01", "$1,234.50"]);
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        let mut out = String::new();
        wrapped(&mut out, "  1  ", &"word ".repeat(30));
        assert_eq!(out.lines().count(), 2);
        assert!(out.lines().all(|line| line.len() <= 80 && (line.starts_with("  1  w") || line.starts_with("     w"))));
    }
}
