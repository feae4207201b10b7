//! Builder methods for settings whose structs are `#[non_exhaustive]`.

/// Methods that each set the field of their name: `name: Type` takes the type, and
/// `name: into Type` whatever converts to it.
macro_rules! setters {
    ($($name:ident: $type:ty),* ; $($into:ident: into $target:ty),* $(,)?) => {
        $(
            #[doc = concat!("Sets the field `", stringify!($name), "`.")]
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            }
        )*
        $(
            #[doc = concat!("Sets the field `", stringify!($into), "`.")]
            #[must_use]
            pub fn $into(mut self, $into: impl Into<$target>) -> Self {
                self.$into = $into.into();
                self
            }
        )*
    };
}

pub(crate) use setters;
