"""What is made after what, where no value that one needs of the other says so."""

import pulumi


def after(opts: pulumi.ResourceOptions, *earlier: pulumi.Resource) -> pulumi.ResourceOptions:
    """The options, for what is made once the earlier resources are there."""
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[*earlier]))
