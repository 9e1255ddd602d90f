//! What the schema says of blocks: which keys go together.

use schemars::Schema;
use serde_json::{Map, Value, json};

use super::{of, value};
use crate::config::{duration, file, project};
use crate::product::{self, Product, Scope};

/// A credential signs in in one of four ways.
pub(in crate::config) fn credential(schema: &mut Schema) {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let [password, access_key, secret_key, security_token] =
        ["password", "access_key", "secret_key", "security_token"].map(ways);
    let keys = [access_key, secret_key, security_token].concat();
    let own =
        [names(&["auth_url", "username", "user_domain_name"]), password.clone(), keys.clone()]
            .concat();
    let no_cloud = absent(&names(&["cloud"]));
    let no_env = json!({ "properties": { "from_env": { "enum": [false, null] } } });
    let env = json!({ "required": ["from_env"], "properties": { "from_env": { "const": true } } });
    let kinds = json!([
        {
            "title": "with a password",
            "allOf": [
                given("username"), given("user_domain_name"), exactly_one("password"), absent(&keys),
                no_cloud, no_env,
            ],
        },
        {
            "title": "with an access key",
            "allOf": [
                exactly_one("access_key"), exactly_one("secret_key"), at_most_one("security_token"),
                absent(&[names(&["username", "user_domain_name"]), password].concat()),
                no_cloud, no_env,
            ],
        },
        {
            "title": "by an entry of `clouds.yaml`",
            "allOf": [given("cloud"), absent(&own), no_env],
        },
        {
            "title": "by the environment",
            "allOf": [env, absent(&own), no_cloud],
        },
    ]);
    schema.insert("oneOf".to_owned(), kinds);
    let insecure = json!({
        "required": ["insecure_http"],
        "properties": { "insecure_http": { "const": true } },
    });
    schema.insert("if".to_owned(), json!({ "not": insecure }));
    schema.insert("then".to_owned(), json!({ "properties": { "auth_url": value::secure() } }));
}

/// A project has the block of one product at least. The products are data and no fields.
pub(in crate::config) fn project(schema: &mut Schema) {
    let blocks = product::ALL.map(|product| json!({ "required": [product.name] }));
    schema.insert("anyOf".to_owned(), json!(blocks));
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for product in product::ALL {
        properties.insert(product.name.to_owned(), of_product(product));
    }
}

/// The block of a product: the keys that mean something for it, its backup types, its defaults.
fn of_product(product: &Product) -> Value {
    let mut block = of::<file::ProductBlock>();
    let Some(block_terms) = block.as_object_mut() else { return block };
    // These belong to a schema of its own.
    block_terms.remove("$schema");
    block_terms.remove("title");
    let description = format!(
        "The product `{}` in a project: where its API is, what is read, what is expected. Default: not \
         polled.",
        product.name
    );
    block_terms.insert("description".to_owned(), json!(description));
    match product.scope {
        Scope::Project => {
            block_terms.insert("type".to_owned(), json!(["object", "null"]));
        }
        Scope::Instance => {
            let listed = json!({ "instances": { "type": "array", "minItems": 1 } });
            let flag =
                |key: &str| json!({ "required": [key], "properties": { key: { "const": true } } });
            let ways = json!([
                { "required": ["instances"], "properties": listed },
                flag("discover"),
                flag("audit"),
            ]);
            block_terms.insert("anyOf".to_owned(), ways);
        }
    }
    if let Some(keys) = block_terms.get_mut("properties").and_then(Value::as_object_mut) {
        for (key, _) in project::pointless_keys(product) {
            keys.remove(key);
        }
        if let Some(Value::String(text)) =
            keys.get_mut("instances").and_then(|it| it.get_mut("description"))
        {
            text.push_str(" At least one, unless `discover` or `audit` is true.");
        }
        if let Some(discover) = keys.get_mut("discover").and_then(Value::as_object_mut) {
            discover.insert("default".to_owned(), json!(product.instances.by_default));
        }
    }
    for (place, has_defaults) in
        [("/properties/max_age", true), ("/properties/instances/items/properties/max_age", false)]
    {
        if let Some(ages) = block.pointer_mut(place).and_then(Value::as_object_mut) {
            ages.insert("properties".to_owned(), ages_of(product, has_defaults));
        }
    }
    block
}

/// An objective for each type.
fn ages_of(product: &Product, has_defaults: bool) -> Value {
    let ages = product.types.iter().map(|(backup_type, default)| {
        let mut age = value::max_age();
        if let (Some(default), Some(terms), true) = (default, age.as_object_mut(), has_defaults) {
            terms.insert("default".to_owned(), json!(duration::print(*default)));
        }
        (backup_type.name.to_owned(), age)
    });
    Value::Object(ages.collect::<Map<_, _>>())
}

/// The keys that a secret can be given by.
fn ways(secret: &str) -> Vec<String> {
    ["", "_file", "_env"].map(|suffix| format!("{secret}{suffix}")).to_vec()
}

/// The key is there, and not empty.
fn given(key: &str) -> Value {
    json!({ "required": [key], "properties": { key: { "not": { "type": "null" } } } })
}

/// None of these keys is there, or they are empty.
fn absent(keys: &[String]) -> Value {
    let keys = keys.iter().map(|key| (key.clone(), json!({ "type": "null" })));
    json!({ "properties": keys.collect::<Map<_, _>>() })
}

/// The secret is given in exactly one of its ways.
fn exactly_one(secret: &str) -> Value {
    json!({ "oneOf": ways(secret).iter().map(|key| given(key)).collect::<Vec<_>>() })
}

/// The secret is given in one of its ways, or not at all.
fn at_most_one(secret: &str) -> Value {
    json!({ "anyOf": [absent(&ways(secret)), exactly_one(secret)] })
}
