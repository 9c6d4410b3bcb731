//! `vpce-probe man`: the manual pages, from the same definitions as the command line, the config and the causes.

mod config;
mod program;
mod roff;
mod verbs;

use super::{
    args::{ManArgs, ManualPage},
    exit::Exit,
    screen,
};

pub(super) fn run(args: &ManArgs) -> Exit {
    let page = match args.page {
        ManualPage::Program => program::page(),
        ManualPage::Config => config::page(),
    };
    match screen::print(&page) {
        Ok(()) => Exit::Done,
        Err(error) => {
            screen::say(&format!("cannot write the page: {error}"));
            Exit::Failed
        }
    }
}
