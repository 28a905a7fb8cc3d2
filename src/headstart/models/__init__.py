"""Networks: U-Net, encoders, classifiers, published weights, and which layers train."""
