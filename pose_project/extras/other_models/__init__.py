"""Parts that Detectron2 has no option for, of torchvision's R-CNN and of ViTDet."""
