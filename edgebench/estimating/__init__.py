"""How fast a device can be at best, told without it: layers, peaks, floors."""
