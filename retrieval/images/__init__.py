"""From a folder of files to pixels: scan, recognise, decode safely in killable processes. No torch here."""
