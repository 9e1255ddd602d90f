//! The clouds and the addresses of their APIs, as data. Which product a region has, the product says.
//!
//! Sources, November 2026: the list of endpoints of Open Telekom Cloud; for its Swiss cloud the
//! vendor file of openstacksdk (IAM), the rest by the same pattern; for Huawei Cloud the region
//! modules of the official Python SDK 3.1.219.

use crate::product::{self, Product};

use super::endpoint::{self, Endpoint};

/// A cloud that a project can name.
#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) name: &'static str,
    /// What the hosts end in.
    domain: &'static str,
    exceptions: &'static [Exception],
}

/// A region whose hosts are not named as those of the others.
#[derive(Debug)]
struct Exception {
    region: &'static str,
    domain: &'static str,
    iam: &'static str,
    /// Whether nobody says which products it has.
    is_unlisted: bool,
}

/// The clouds.
pub(super) static ALL: [&Cloud; 2] = [
    &Cloud {
        name: OTC,
        domain: "otc.t-systems.com",
        exceptions: &[Exception {
            region: SWISS_REGION,
            domain: "sc.otc.t-systems.com",
            iam: "iam-pub",
            is_unlisted: true,
        }],
    },
    &Cloud {
        name: "huaweicloud",
        domain: "myhuaweicloud.com",
        exceptions: &[Exception {
            region: "eu-west-101",
            domain: "myhuaweicloud.eu",
            iam: "iam",
            is_unlisted: false,
        }],
    },
];

/// Open Telekom Cloud.
pub(super) const OTC: &str = "otc";
/// The only region of its Swiss cloud.
pub(super) const SWISS_REGION: &str = "eu-ch2";

/// The cloud of that name.
pub(super) fn by_name(name: &str) -> Option<&'static Cloud> {
    ALL.into_iter().find(|cloud| cloud.name == name)
}

impl Cloud {
    /// Its regions, by name.
    pub(super) fn regions(&self) -> Vec<&'static str> {
        let of_products = product::ALL.into_iter().flat_map(|it| it.regions_of(self.name));
        let exceptions = self.exceptions.iter().map(|exception| &exception.region);
        let mut regions: Vec<_> = of_products.chain(exceptions).copied().collect();
        regions.sort_unstable();
        regions.dedup();
        regions
    }

    /// Its region of that name.
    pub(super) fn region(&'static self, name: &str) -> Option<Place> {
        let region = self.regions().into_iter().find(|region| *region == name)?;
        Some(Place { cloud: self, region })
    }
}

/// A region of a cloud.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) cloud: &'static Cloud,
    pub(super) region: &'static str,
}

impl Place {
    /// The origin of a product's API, whether the region is known to have it or not.
    pub(super) fn origin(&self, product: &Product) -> Option<Endpoint> {
        endpoint::origin(&self.url(product.name), false).ok()
    }

    /// The address of IAM.
    pub(super) fn iam(&self) -> Option<Endpoint> {
        let host = self.exception().map_or("iam", |exception| exception.iam);
        endpoint::identity(&self.url(host), false).ok()
    }

    /// Whether the lists of the cloud have this product elsewhere only.
    pub(super) fn lacks(&self, product: &Product) -> bool {
        let is_unlisted = self.exception().is_some_and(|exception| exception.is_unlisted);
        !is_unlisted && !product.regions_of(self.cloud.name).contains(&self.region)
    }

    fn url(&self, host: &str) -> String {
        let domain = self.exception().map_or(self.cloud.domain, |exception| exception.domain);
        format!("https://{host}.{}.{domain}", self.region)
    }

    fn exception(&self) -> Option<&'static Exception> {
        self.cloud.exceptions.iter().find(|exception| exception.region == self.region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The addresses of a region: those of the products, and of IAM.
    fn addresses(cloud: &str, region: &str) -> Vec<String> {
        let place = by_name(cloud).unwrap().region(region).unwrap();
        let products = product::ALL.map(|product| place.origin(product).unwrap().to_string());
        products.into_iter().chain([place.iam().unwrap().to_string()]).collect()
    }

    #[test]
    fn the_addresses_are_those_of_the_lists_of_the_clouds() {
        assert_eq!(
            addresses("otc", "eu-de"),
            [
                "https://rds.eu-de.otc.t-systems.com",
                "https://ddm.eu-de.otc.t-systems.com",
                "https://iam.eu-de.otc.t-systems.com/v3",
            ]
        );
        assert_eq!(addresses("otc", "eu-nl")[2], "https://iam.eu-nl.otc.t-systems.com/v3");
        assert_eq!(
            addresses("otc", "eu-ch2"),
            [
                "https://rds.eu-ch2.sc.otc.t-systems.com",
                "https://ddm.eu-ch2.sc.otc.t-systems.com",
                "https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3",
            ]
        );
        assert_eq!(
            addresses("huaweicloud", "cn-north-4"),
            [
                "https://rds.cn-north-4.myhuaweicloud.com",
                "https://ddm.cn-north-4.myhuaweicloud.com",
                "https://iam.cn-north-4.myhuaweicloud.com/v3",
            ]
        );
        assert_eq!(
            addresses("huaweicloud", "eu-west-101"),
            [
                "https://rds.eu-west-101.myhuaweicloud.eu",
                "https://ddm.eu-west-101.myhuaweicloud.eu",
                "https://iam.eu-west-101.myhuaweicloud.eu/v3",
            ]
        );
    }

    #[test]
    fn the_regions_are_those_of_the_lists_and_of_no_other_cloud() {
        let [otc, huawei] = ALL;
        assert_eq!(otc.regions(), ["eu-ch2", "eu-de", "eu-nl"]);
        assert_eq!(huawei.regions().len(), 34);
        assert!(otc.region("cn-north-4").is_none() && huawei.region("eu-de").is_none());
        let counts = product::ALL.map(|it| (it.name, it.regions_of(huawei.name).len()));
        assert_eq!(counts, [("rds", 34), ("ddm", 17)]);
    }

    #[test]
    fn a_product_is_lacking_where_the_list_is_known_not_to_have_it() {
        let lacking = |cloud: &str, region: &str| -> Vec<&str> {
            let place = by_name(cloud).unwrap().region(region).unwrap();
            let lacking = product::ALL.into_iter().filter(|product| place.lacks(product));
            lacking.map(|product| product.name).collect()
        };
        assert_eq!(lacking("otc", "eu-de"), [""; 0]);
        assert_eq!(lacking("otc", "eu-nl"), ["ddm"]);
        assert_eq!(lacking("otc", "eu-ch2"), [""; 0], "nobody says");
        assert_eq!(lacking("huaweicloud", "eu-west-101"), [""; 0]);
        assert_eq!(lacking("huaweicloud", "tr-west-1"), ["ddm"]);
    }
}
