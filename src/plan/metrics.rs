//! The part of the config that decides which metric series there are.

use crate::{config::Config, metric::Settings};

/// Which series there are: needs no host fact.
#[must_use]
pub fn metrics(config: &Config) -> Settings {
    let cloudwatch = &config.cloudwatch;
    Settings {
        namespace: cloudwatch.namespace.clone(),
        detail: cloudwatch.detail,
        fixed_dimensions: cloudwatch.fixed_dimensions.clone(),
        extra_dimension_sets: cloudwatch.extra_dimension_sets.clone(),
        interval: config.interval,
        flush_interval: cloudwatch.flush_interval,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::metrics;
    use crate::{config, metric::Detail};

    #[test]
    fn every_key_that_makes_series_is_taken_over() {
        let text = "interval = \"30s\"\n[cloudwatch]\nnamespace = \"Mine\"\nflush_interval = \"2m\"\ndetail = \"instance\"\n\
                    fixed_dimensions = { Team = \"core\" }\nextra_dimension_sets = [[\"Region\", \"Target\"]]\n";
        let parsed = config::parse("test.toml", text).expect("a right config");
        let settings = metrics(&parsed.config);
        assert_eq!(settings.namespace, "Mine");
        assert_eq!(settings.detail, Detail::Instance);
        assert_eq!(settings.fixed_dimensions, [("Team".to_owned(), "core".to_owned())]);
        assert_eq!(settings.extra_dimension_sets, [["Region", "Target"]]);
        assert_eq!((settings.interval, settings.flush_interval), (Duration::from_secs(30), Duration::from_mins(2)));
    }
}
