"""HoVer-Net (Graham et al. 2019): an image -> nuclei and their classes."""
