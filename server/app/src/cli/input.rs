//! Secrets come in by standard input, a file or a prompt, never by an argument.
use std::{io::Read as _, path::Path};

use secrecy::SecretString;

use crate::{
    failure::{Failure, Result},
    terminal,
};

/// The most that is read: no secret is longer.
const LONGEST: u64 = 64 * 1024;

/// So many lines from standard input, in order; what follows is an error, because somebody mixed something up.
pub fn lines(names: &[&str]) -> Result<Vec<SecretString>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    if terminal::interactive() {
        return names.iter().map(|name| prompt(name)).collect();
    }
    let mut text = String::new();
    std::io::stdin()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|e| Failure::because("Standard input cannot be read", &e))?;
    let mut found: Vec<&str> = text.lines().map(|l| l.strip_suffix('\r').unwrap_or(l)).collect();
    while found.len() > names.len() && found.last().is_some_and(|l| l.is_empty()) {
        found.pop();
    }
    let order = names.join(", then ");
    if found.len() != names.len() || found.iter().any(|l| l.is_empty()) {
        let one = if names.len() == 1 { "one line".to_owned() } else { format!("{} lines", names.len()) };
        return Err(Failure::usage(format!("Standard input has {} lines, and {one} with {order} was expected.", found.len()))
            .next("Give each secret on a line of its own and nothing else."));
    }
    Ok(found.into_iter().map(|l| SecretString::from(l.to_owned())).collect())
}

/// The one line of standard input, or what a person types without seeing it.
pub fn line(name: &str) -> Result<SecretString> {
    lines(&[name])?.pop().ok_or_else(|| Failure::failed("Standard input cannot be read"))
}

/// Asks a person who sits at the terminal; what is typed is not shown.
pub fn prompt(name: &str) -> Result<SecretString> {
    let text = rpassword::prompt_password(format!("{}: ", capital(name)))
        .map_err(|e| Failure::because("The terminal cannot be read", &e))?;
    if text.is_empty() {
        return Err(Failure::usage(format!("{} is empty.", capital(name))));
    }
    Ok(text.into())
}

/// The content of a file that is no secret: certificates, known hosts.
#[expect(clippy::disallowed_methods, reason = "a file that the operator names")]
pub fn text_file(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::because(&format!("{} cannot be read", path.display()), &e))?;
    if text.trim().is_empty() || text.len() as u64 > LONGEST {
        return Err(Failure::usage(format!("{} is empty, or too long for what it should hold.", path.display())));
    }
    Ok(text)
}

/// The content of a file with several lines that is a secret: a private key.
pub fn key_file(path: &Path) -> Result<SecretString> {
    text_file(path).map(Into::into)
}

/// The content of a file, without the line's end.
#[expect(clippy::disallowed_methods, reason = "a secret that the operator keeps in a file")]
pub fn file(path: &Path) -> Result<SecretString> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::because(&format!("{} cannot be read", path.display()), &e))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() || text.contains('\n') {
        return Err(Failure::usage(format!("{} does not hold one line.", path.display())));
    }
    Ok(text.to_owned().into())
}

/// Yes, or an error: `--yes` says it in scripts, a person is asked.
pub fn confirmed(yes: bool, question: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !terminal::interactive() {
        return Err(Failure::usage("This needs a confirmation, and nobody is there to be asked.").next("Add --yes."));
    }
    let answer = terminal::ask(&format!("{question} [y/N]")).map_err(|e| Failure::because("The terminal cannot be read", &e))?;
    if matches!(answer.to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(crate::failure::Exit::Refused, "cancelled", "Nothing was changed."))
}

/// A comma-separated list; an empty text is the empty list.
pub fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
