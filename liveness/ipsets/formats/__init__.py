"""The formats of set files, one a file: `table` lists them, the others read and write them."""
