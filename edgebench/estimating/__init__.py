"""How fast a device can be at best, computed without the device: layers, peaks, floors."""
