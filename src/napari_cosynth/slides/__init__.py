"""Images of any size and kind: conversion to RGB, µm/px, lazy pyramids."""
