"""The demo's real input: FHIR resources, a DICOM file that pydicom ships, and a NIfTI volume."""

import base64
import hashlib
import struct
from pathlib import Path
from typing import Any

from pydicom.data import get_testdata_file

from functions.shared.resources import parse

_RESOURCES = Path(__file__).parent / "demo_data"


def checksum(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def load(name: str) -> dict[str, Any]:
    """A resource of the demo's data; decimals keep their digits."""
    return parse((_RESOURCES / f"{name}.json").read_bytes())


def dicom_file() -> Path:
    path = get_testdata_file("CT_small.dcm")
    if not isinstance(path, str):
        raise FileNotFoundError("pydicom no longer ships CT_small.dcm")
    return Path(path)


def nifti_volume(side: int = 160) -> bytes:
    """A NIfTI-1 file of `side`³ 16-bit voxels, about 8 MB: a bright ball in the dark.

    Header: https://nifti.nimh.nih.gov/nifti-1 (348 bytes, 4 bytes of padding, then the voxels).
    """
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, side, side, side, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 4, 16)  # datatype int16, 16 bits a voxel
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352.0)  # where the voxels start
    header[344:348] = b"n+1\0"
    radius, rows = side // 3, []
    for z in range(side):
        for y in range(side):
            depth = radius**2 - (z - side // 2) ** 2 - (y - side // 2) ** 2
            half = int(depth**0.5) if depth > 0 else 0
            dark = b"\0\0" * (side // 2 - half)
            rows.append(dark + struct.pack("<h", 1000) * (2 * half) + dark)
    return bytes(header) + b"".join(rows)
