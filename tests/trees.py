"""Files as the boards' kernels show them, for meters to read: the layouts and labels of the kernel's documentation, and
values that were captured where there are any."""

from __future__ import annotations

from pathlib import Path

I2C = "sys/bus/i2c/drivers"


def write(root: Path, files: dict[str, object]) -> Path:
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return root


def jetpack4(root: Path, rails: dict[str, int], chip: str = "6-0040/iio:device0") -> Path:
    """NVIDIA's own driver: mW, channels from 0."""
    folder = f"{I2C}/ina3221x/{chip}"
    files: dict[str, object] = {}
    for c, (label, mw) in enumerate(rails.items()):
        files |= {f"{folder}/rail_name_{c}": label, f"{folder}/in_power{c}_input": mw}
        files |= {f"{folder}/in_voltage{c}_input": 5000, f"{folder}/in_current{c}_input": mw // 5}
    return write(root, files)


def hwmon(root: Path, chip: str, channels: list[tuple[str, int, int]]) -> Path:
    """Mainline Linux, JetPack 5 on: (label, mV, mA), channels from 1; and the entries that are no rails."""
    folder = f"{I2C}/ina3221/{chip}"
    files: dict[str, object] = {}
    for c, (label, mv, ma) in enumerate(channels, start=1):
        files |= {f"{folder}/in{c}_label": label, f"{folder}/in{c}_input": mv, f"{folder}/curr{c}_input": ma}
        files |= {f"{folder}/in{c + 3}_input": ma * 2, f"{folder}/curr{c}_max": 32760}
    total = sum(ma for _, _, ma in channels)
    files |= {f"{folder}/in7_label": "sum of shunt voltages", f"{folder}/in7_input": total * 2}
    return write(root, files | {f"{folder}/curr4_input": total})


def agx_orin(root: Path) -> Path:
    """As captured: VDDQ_VDD2_1V8AO is inside VIN_SYS_5V0, and its chip has two channels that are not connected."""
    soc = [("VDD_GPU_SOC", 12008, 280), ("VDD_CPU_CV", 12008, 40), ("VIN_SYS_5V0", 4968, 980)]
    hwmon(root, "1-0040/hwmon/hwmon3", soc)
    return hwmon(root, "1-0041/hwmon/hwmon4", [("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 4968, 80), ("NC", 0, 0)])


def thor(root: Path, input_uw: int = 15_004_000) -> Path:
    """The GPU is gated, so that its rail shows a current backwards; the whole is an INA238's on the carrier board."""
    rails = [("VDD_GPU", 9800, -40), ("VDD_CPU_SOC_MSS", 9810, 400), ("VIN_SYS_5V0", 5064, 1000)]
    hwmon(root, "2-0040/hwmon/hwmon2", rails)
    return write(root, {f"{I2C}/ina238/2-0044/hwmon/hwmon5/power1_input": input_uw})


def rapl(root: Path, zones: dict[str, tuple[str, int]], range_uj: int = 262_143_328_850) -> Path:
    """{"intel-rapl:0": ("package-0", µJ), …}"""
    files: dict[str, object] = {}
    for zone, (name, energy_uj) in zones.items():
        folder = f"sys/class/powercap/{zone}"
        files |= {f"{folder}/name": name, f"{folder}/energy_uj": energy_uj, f"{folder}/max_energy_range_uj": range_uj}
    return write(root, files)


# A package with two parts that it tells apart.
PACKAGE = {"intel-rapl:0": ("package-0", 1_000), "intel-rapl:0:0": ("core", 400), "intel-rapl:0:1": ("dram", 100)}


def battery(root: Path, status: str = "Discharging", online: int = 0, **files: int) -> Path:
    supply = "sys/class/power_supply"
    write(root, {f"{supply}/AC/type": "Mains", f"{supply}/AC/online": online})
    write(root, {f"{supply}/mouse/type": "Battery", f"{supply}/mouse/scope": "Device", f"{supply}/mouse/power_now": 7})
    return write(
        root,
        {f"{supply}/BAT0/type": "Battery", f"{supply}/BAT0/status": status}
        | {f"{supply}/BAT0/{name}": v for name, v in files.items()},
    )


# Captured on a Pi 5 Model B Rev 1.0 with four busy cores.
PMIC = """\
 3V7_WL_SW_A current(0)=0.09368929A
   3V3_SYS_A current(1)=0.08783370A
   1V8_SYS_A current(2)=0.18054710A
  DDR_VDD2_A current(3)=0.22543980A
  DDR_VDDQ_A current(4)=0.06666720A
   1V1_SYS_A current(5)=0.17566740A
    0V8_SW_A current(6)=0.37670900A
  VDD_CORE_A current(7)=6.22421000A
   3V3_DAC_A current(17)=0.00006105A
   3V3_ADC_A current(18)=0.00036630A
   0V8_AON_A current(16)=0.00305250A
      HDMI_A current(22)=0.02417580A
 3V7_WL_SW_V volt(8)=3.69977600V
   3V3_SYS_V volt(9)=3.31003300V
   1V8_SYS_V volt(10)=1.80512600V
  DDR_VDD2_V volt(11)=1.10476100V
  DDR_VDDQ_V volt(12)=0.60146460V
   1V1_SYS_V volt(13)=1.11025500V
    0V8_SW_V volt(14)=0.80146440V
  VDD_CORE_V volt(15)=0.86173300V
   3V3_DAC_V volt(20)=3.31318300V
   3V3_ADC_V volt(21)=3.30677300V
   0V8_AON_V volt(19)=0.80029220V
      HDMI_V volt(23)=5.08664000V
     EXT5V_V volt(24)=5.09066000V
      BATT_V volt(25)=0.00000000V
"""
PMIC_MW = 7239.82  # Σ A × V of the twelve rails that have both
