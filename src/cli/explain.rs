//! `vpce-probe explain`: the meaning of a cause.

use super::{args::ExplainArgs, exit::Exit, screen};
use crate::render::explain;

pub(super) fn run(args: &ExplainArgs) -> Exit {
    let style = screen::style(args.color);
    let text = match args.cause {
        Some(cause) => explain::cause(cause, &style),
        None => explain::index(&style),
    };
    match screen::print(&text) {
        Ok(()) => Exit::Done,
        Err(error) => {
            screen::say(&format!("cannot write the text: {error}"));
            Exit::Failed
        }
    }
}
