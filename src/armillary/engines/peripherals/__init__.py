# SPDX-License-Identifier: Apache-2.0
"""Peripherals of a board: pins, I2C and SPI buses, PWM and ADC controllers, behind one port.

What it is: ``port`` says what a peripheral does; ``simulated`` does it in memory; ``gpio``, ``i2c``, ``spi``, ``pwm``
and ``adc`` do it with Linux's own interfaces to programs; ``selection`` opens what a board is said to be.

What it is not: who may use which peripheral (``armillary.capability.grant``), and how an application asks for it
(``armillary.device.interface``). Serial ports are nodes that an application is handed: ``device/applications``.

Specification: linux/gpio.h (version 2 of the interface), linux/i2c-dev.h, linux/spi/spidev.h, the kernel's
Documentation/ABI/testing/sysfs-class-pwm and sysfs-bus-iio. The Linux engines are tested against these interfaces with
a stand-in for the kernel's side, not on silicon.
"""
