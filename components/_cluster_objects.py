"""Objects in the cluster that what runs there starts from: the default storage class, namespaces.

As plain resources: their classes in the SDK would import all of core/v1, half a second.
"""

import pulumi

POD_SECURITY_MODES = ("enforce", "audit", "warn")


def restricted_namespace(
    resource_name: str, name: str, opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """A namespace that takes only pods of the strictest Pod Security Standard."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in POD_SECURITY_MODES}
    return pulumi.CustomResource(
        "kubernetes:core/v1:Namespace",
        resource_name,
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": labels},
        },
        opts,
    )


def encrypted_storage_class(
    resource_name: str, key_arn: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """Encrypted disks for pods, unless they ask for something else."""
    return pulumi.CustomResource(
        "kubernetes:storage.k8s.io/v1:StorageClass",
        resource_name,
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "gp3",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "ebs.csi.aws.com",
            "parameters": {"type": "gp3", "encrypted": "true", "kmsKeyId": key_arn},
            "allowVolumeExpansion": True,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",  # in the zone of the pod
        },
        opts,
    )
