from asyncore_rs.asynchat import *
