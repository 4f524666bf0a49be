module hello_go

go 1.19
