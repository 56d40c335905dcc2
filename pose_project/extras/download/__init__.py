"""Large files over HTTP; COCO and published weights come by it."""
