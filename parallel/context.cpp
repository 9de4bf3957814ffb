// placeholder so that the engine has a source while the tree fills
