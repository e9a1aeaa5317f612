//! What the route table says for all of its routes: lines of a word and a value.
//!
//! `cookie <name> <marks> <names of the rest, or ->`, repeated; `refuse <what>`, each once.

use crate::cookies::GatewayCookies;
use crate::filter_config::Lines;

/// What holds for all routes.
#[derive(Debug, Default)]
pub struct TableConfig {
    /// Cookies of the gateway, which no upstream gets.
    pub cookies: GatewayCookies,
    /// A segment that ends in a dot or a space, with more behind it, is refused.
    pub refuse_trailing_dots: bool,
    /// An encoded slash or backslash is refused where the route does not name one.
    pub refuse_escaped_slashes: bool,
    /// A `;` is refused where the route does not name one.
    pub refuse_path_parameters: bool,
}

impl TableConfig {
    /// The configuration in a text, or what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<TableConfig, String> {
        let mut lines = Lines::read(text)?;
        let mut table = TableConfig::default();
        while let Some(value) = lines.optional("cookie") {
            let parts: Vec<&[u8]> = value.split(|byte| *byte == b' ').collect();
            match parts.as_slice() {
                [name, marks, rest] => table.cookies.add(name, marks, rest)?,
                _ => return Err("a cookie is not name, marks and rest".to_owned()),
            }
        }
        while let Some(what) = lines.optional("refuse") {
            let place = match what {
                b"trailing-dots" => &mut table.refuse_trailing_dots,
                b"escaped-slashes" => &mut table.refuse_escaped_slashes,
                b"path-parameters" => &mut table.refuse_path_parameters,
                _ => {
                    let what = String::from_utf8_lossy(what);
                    return Err(format!("'{what}' is nothing to refuse"));
                }
            };
            if std::mem::replace(place, true) {
                return Err("the same is refused twice".to_owned());
            }
        }
        lines.end()?;
        Ok(table)
    }
}
