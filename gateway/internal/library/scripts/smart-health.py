# Asks each disk about itself.
import json
import shutil
import subprocess
import sys

smartctl = shutil.which("smartctl")
if not smartctl:
    sys.exit("The program smartctl is missing: install the package smartmontools.")


def ask(*words):
    out = subprocess.run([smartctl, "--json", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60).stdout
    try:
        return json.loads(out)
    except ValueError:
        return {}


disks = ask("--scan").get("devices", [])
if not disks:
    print("No disk on this device tells about itself.")
failing = False
for d in disks:
    a = ask("-H", "-A", "-i", "-d", d.get("type", "auto"), d["name"])
    passed = a.get("smart_status", {}).get("passed")
    words = {True: "well", False: "FAILING", None: "it does not say"}[passed]
    failing = failing or passed is False
    print(f"{d['name']}  {a.get('model_name', '')}  {words}")
    for title, value in (
        ("hours on", a.get("power_on_time", {}).get("hours")),
        ("temperature", a.get("temperature", {}).get("current")),
        ("used up, in percent", a.get("nvme_smart_health_information_log", {}).get("percentage_used")),
        ("media errors", a.get("nvme_smart_health_information_log", {}).get("media_errors")),
    ):
        if value is not None:
            print(f"    {title}: {value}")
    for row in a.get("ata_smart_attributes", {}).get("table", []):
        if row.get("id") in (5, 187, 197, 198):
            print(f"    {row['name'].replace('_', ' ').lower()}: {row['raw']['value']}")
sys.exit(1 if failing else 0)
