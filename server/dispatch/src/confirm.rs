//! Stage 6: confirmation tokens. A token holds for one actor, tool, instance, arguments and planned records, for 5 minutes.
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use kernel::{Actor, Code, InstanceId, Plan, Refusal, Timestamp, refusal};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const VALID_SECONDS: i64 = 5 * 60;

/// What a confirmation is bound to.
pub struct Bound<'a> {
    pub actor: &'a Actor,
    pub tool: &'static str,
    pub instance: Option<InstanceId>,
    /// [`fingerprint`] of the tool's own arguments.
    pub arguments: [u8; 32],
}

pub struct Signer([u8; 32]);
impl Signer {
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The token that lets the caller run this plan.
    pub fn token(&self, bound: &Bound, plan: &Plan, now: Timestamp) -> String {
        let expires = (now.timestamp() + VALID_SECONDS).to_be_bytes();
        let records = records(plan);
        let mut token = Vec::with_capacity(8 + 32 + 32);
        token.extend_from_slice(&expires);
        token.extend_from_slice(&records);
        token.extend_from_slice(&self.mac(bound, &expires, &records).finalize().into_bytes());
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Whether the token was given for just this, and the records are still those of the plan.
    pub fn check(&self, token: &str, bound: &Bound, plan: &Plan, now: Timestamp) -> Result<(), Refusal> {
        let invalid = || {
            refusal(
                Code::InvalidArgument,
                "This confirm_token was not given for this call: other arguments, another tool, instance or key.",
            )
            .next("Call again without it to get the plan and a new token.")
        };
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
        let (expires, rest) = bytes.split_first_chunk::<8>().ok_or_else(invalid)?;
        let (planned, mac) = rest.split_first_chunk::<32>().ok_or_else(invalid)?;
        self.mac(bound, expires, planned).verify_slice(mac).map_err(|_| invalid())?;
        if now.timestamp() > i64::from_be_bytes(*expires) {
            return Err(refusal(Code::ConfirmRequired, "This confirm_token is older than 5 minutes.")
                .next("Call again without it to get the plan and a new token."));
        }
        if *planned != records(plan) {
            return Err(refusal(Code::Conflict, "The records have changed since the plan was made, so nothing was done.")
                .next("Call again without confirm_token to see the new plan."));
        }
        Ok(())
    }

    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn mac(&self, bound: &Bound, expires: &[u8], records: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length");
        // Every part is of fixed length or length-prefixed, so that none can run into the next.
        for part in [
            bound.actor.key().to_string().as_bytes(),
            bound.tool.as_bytes(),
            bound.instance.map(|i| i.to_string()).unwrap_or_default().as_bytes(),
            &bound.arguments,
            expires,
            records,
        ] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

fn records(plan: &Plan) -> [u8; 32] {
    let mut ids = plan.ids.clone();
    ids.sort_unstable();
    let mut hash = Sha256::new();
    hash.update(plan.affected.to_be_bytes());
    for id in ids {
        hash.update(id.to_be_bytes());
    }
    hash.finalize().into()
}

/// A hash of arguments that does not depend on the order of keys, nor on 1 having become 1.0 on the way.
pub fn fingerprint(arguments: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    feed(arguments, &mut hash);
    hash.finalize().into()
}
/// The same of the list of these values.
pub fn fingerprint_of(items: &[&Value]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"[");
    for item in items {
        feed(item, &mut hash);
    }
    hash.update(b"]");
    hash.finalize().into()
}
fn feed(value: &Value, hash: &mut Sha256) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            hash.update(b"{");
            for key in keys {
                hash.update((key.len() as u64).to_be_bytes());
                hash.update(key.as_bytes());
                if let Some(value) = map.get(key) {
                    feed(value, hash);
                }
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            for item in items {
                feed(item, hash);
            }
            hash.update(b"]");
        }
        Value::Number(n) => {
            hash.update(b"#");
            match n.as_f64() {
                Some(f) if n.is_f64() && f.fract() == 0.0 && f.abs() < 9.0e15 => hash.update(format!("{f:.0};")),
                _ => hash.update(format!("{n};")),
            }
        }
        Value::String(s) => {
            hash.update(b"\"");
            hash.update((s.len() as u64).to_be_bytes());
            hash.update(s.as_bytes());
        }
        Value::Bool(b) => hash.update(if *b { b"t" } else { b"f" }),
        Value::Null => hash.update(b"n"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fingerprints_see_values_not_spelling() {
        assert_eq!(fingerprint(&json!({"a": 1, "b": [1.0, "x"]})), fingerprint(&json!({"b": [1, "x"], "a": 1.0})));
        assert_ne!(fingerprint(&json!({"a": 1})), fingerprint(&json!({"a": "1"})));
        assert_ne!(fingerprint(&json!([["a"], "b"])), fingerprint(&json!([["a", "b"]])));
        assert_ne!(fingerprint(&json!({"a": null})), fingerprint(&json!({})));
        let (own, context) = (json!({"a": [1, {"b": null}]}), json!("c"));
        assert_eq!(fingerprint_of(&[&own, &context]), fingerprint(&json!([own, context])));
        assert_ne!(fingerprint_of(&[&own, &context]), fingerprint_of(&[&context, &own]));
    }
}
